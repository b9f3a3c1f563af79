#!/bin/sh
# The part of the official entrypoint that the project's deployments use: starts the service that the argument names, with
# /opt/druid/conf and, above it, the properties of druid_* variables; DRUID_XMX, DRUID_XMS and DRUID_MAXDIRECTMEMORYSIZE.
set -eu
service=${1:?coordinator, broker, historical, indexer or router}
rm -rf /tmp/conf
mkdir -p /tmp/conf
cp -r /opt/druid/conf/druid /tmp/conf/druid
cluster=/tmp/conf/druid/cluster
case $service in
    historical | indexer) folder=$cluster/data/$service ;;
    coordinator) folder=$cluster/master/coordinator-overlord ;;
    broker | router) folder=$cluster/query/$service ;;
    *) printf '%s\n' "druid.sh: no service '$service'" >&2 && exit 2 ;;
esac

set_property() {
    sed -i "/^$1=/d" "$cluster/_common/common.runtime.properties" "$folder/runtime.properties"
    printf '\n%s=%s\n' "$1" "$2" >>"$folder/runtime.properties"
}

[ "${DRUID_SET_HOST:-1}" != 1 ] || set_property druid.host "$(hostname -i | cut -d ' ' -f 1)"
env | grep '^druid_' | while IFS='=' read -r name value; do
    set_property "$(printf '%s' "$name" | tr _ .)" "$value"
done

# Of an option that is there twice Java takes the last.
options="$(tr '\n' ' ' <"$folder/jvm.config") ${DRUID_XMS:+-Xms$DRUID_XMS} ${DRUID_XMX:+-Xmx$DRUID_XMX}"
options="$options ${DRUID_MAXDIRECTMEMORYSIZE:+-XX:MaxDirectMemorySize=$DRUID_MAXDIRECTMEMORYSIZE} ${JAVA_OPTS:-}"
# shellcheck disable=SC2086
mkdir -p ${DRUID_DIRS_TO_CREATE-var/tmp var/druid/segments var/druid/indexing-logs var/druid/task var/druid/segment-cache}
# shellcheck disable=SC2086
exec java $options -cp "$cluster/_common:$folder:lib/*" org.apache.druid.cli.Main server "$service"
