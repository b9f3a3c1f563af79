"""What is served from Druid: the datasources (datasources.py) and how partitions of gold get into them (ingestion_spec.py).

client.py talks to Druid; local/druid/ runs one on this machine.
"""
