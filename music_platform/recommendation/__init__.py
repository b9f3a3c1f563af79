"""Recommendations: from what listeners played to the songs that each is offered next, and how well that worked.

Plain numpy and scipy around the matrix factorization of implicit; no Dagster, and no engine but in spark_training.py. The
tables' contracts stand in tables/recommendations/, the assets in orchestration/assets/recommendations.py.
docs/recommendations.md tells the method.
"""
