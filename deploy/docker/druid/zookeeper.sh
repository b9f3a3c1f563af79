#!/bin/sh
# ZooKeeper from Druid's jars. A leader of before a restart must not be found after it: services would wait for it.
set -eu
rm -rf /var/lib/druid/zookeeper/version-2
exec java -Xmx128m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
    -cp "/opt/druid/conf/druid/cluster/_common:/opt/druid/lib/*" \
    org.apache.zookeeper.server.ZooKeeperServerMain /opt/druid/zoo.cfg
