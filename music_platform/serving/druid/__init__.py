"""What is served from Druid: the datasources (datasources.py) and how partitions of gold get into them (ingestion_spec.py).

How Druid is talked to stands in music_platform/serving/druid/client.py, how one is run on this machine in local_druid/.
"""
