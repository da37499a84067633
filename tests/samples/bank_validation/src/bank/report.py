from bank.account import Account


def statement(account: Account) -> str:
    lines = [f"{kind:<10}{amount / 100:>10.2f}" for kind, amount in account.entries]
    lines.append(f"{'balance':<10}{account.balance / 100:>10.2f}")
    return "\n".join(lines)
