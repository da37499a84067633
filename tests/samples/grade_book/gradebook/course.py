from gradebook.grades import grade, passed
from gradebook.student import Student


class Course:
    def __init__(self, title):
        self.title = title
        self.students = {}

    def enroll(self, name):
        return self.students.setdefault(name, Student(name))

    def ranking(self):
        """Names, the best average first; equal averages in alphabetical order."""
        ranked = sorted(self.students.values(), key=lambda s: (s.average(), s.name), reverse=True)
        return [student.name for student in ranked]

    def report(self):
        return {name: grade(student.average()) for name, student in self.students.items()}

    def pass_rate(self):
        letters = self.report().values()
        if not letters:
            return 0.0
        return sum(passed(letter) for letter in letters) / len(letters)
