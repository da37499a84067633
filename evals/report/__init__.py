"""What runs came to: numbers with their uncertainty, and pages for people."""
