"""What the model says when no model is asked: text alone.

No figure, observation or answer stands here; all of them come from the run. The second reply is a real mistake (the
table holds text columns as well), which the sandbox answers with a real traceback; the third is its repair.
"""

from __future__ import annotations

TASK = """\
weather.xlsx holds hourly weather at New York's airports in 2013. Which measurements go together most with visibility
(column visib)? Compute the Pearson correlation of each other measurement with visib; the calendar columns (year, month,
day, hour) are no measurements. Plot the correlation matrix of all measurements and save it as correlation.png. Answer
with final_answer({"rows": number of rows, "correlations": {measurement: correlation}}), the strongest first, by absolute
value."""

PLOT = "correlation.png"

REPLIES = (
    """\
I will look at the table first.
```python
import pandas as pd

weather = pd.read_excel("weather.xlsx")
print(weather.shape)
print(pd.DataFrame({"type": weather.dtypes, "missing": weather.isna().sum()}))
```
""",
    """\
Now the correlations with visibility.
```python
correlations = weather.corr()["visib"]
print(correlations)
```
""",
    """\
The table holds text columns, which cannot be correlated. I will keep the numbers, without the calendar.
```python
measurements = weather.select_dtypes("number").drop(columns=["year", "month", "day", "hour"])
matrix = measurements.corr()
correlations = matrix["visib"].drop("visib").sort_values(key=abs, ascending=False)
print(correlations.round(3))
```
""",
    """\
That worked. I will draw the matrix.
```python
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(8, 7))
image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
axes.set_xticks(range(len(matrix)), matrix.columns, rotation=45, ha="right")
axes.set_yticks(range(len(matrix)), matrix.columns)
for row in range(len(matrix)):
    for column in range(len(matrix)):
        value = matrix.iloc[row, column]
        color = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
figure.colorbar(image, label="Pearson correlation")
axes.set_title("Hourly weather at New York's airports, 2013")
figure.tight_layout()
figure.savefig("correlation.png", dpi=110)
plt.close(figure)
print("saved", matrix.shape)
```
""",
    """\
The plot is saved and the correlations are known.
```python
final_answer({"rows": len(weather), "correlations": correlations.to_dict()})
```
""",
)
