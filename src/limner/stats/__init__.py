"""Statistics as plain functions: confidence intervals, rankings, rater agreement, group fairness."""
