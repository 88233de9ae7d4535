"""The work that every peer is asked to do. No imports: peers' own interpreters load this file too."""

WARM, ONE_SHOT, PANDAS, LOOP = "warm", "one-shot", "pandas", "loop"
WORKLOADS = (WARM, ONE_SHOT, PANDAS, LOOP)

CODE = {
    WARM: "1+1",
    ONE_SHOT: "print('hello')",
    PANDAS: "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2, 3]})['a'].sum())",
    # Written so that every language subset takes it: no augmented assignment, no comprehension.
    LOOP: "total = 0\nfor number in range(300000):\n    total = total + number * number % 7\nprint(total)",
}
