"""The dashboards as code: what each chart asks of which Druid datasource, and the bundle of files that Superset imports.

datasources.py says what there is to ask; datasets.py and recommendation_datasets.py the measures; listening.py, engagement.py,
conversion.py, recommendations.py and pipeline.py the dashboards; charts.py how Superset draws them, chart_queries.py what they
ask; bundle.py the files; gate.py whether they hold together; publishing.py how they get into a Superset.
"""
