#!/bin/bash
# Each script of a Kafka distribution by its name: the class that it runs, and the memory that it gives it.
heap="-Xmx256M"
has() { [[ -e /opt/kafka/libs/$1 ]] || compgen -G "/opt/kafka/libs/$1" >/dev/null; }
case ${0##*/} in
  kafka-server-start.sh) class=kafka.Kafka heap="-Xmx1G -Xms1G" ;;
  zookeeper-server-start.sh) class=org.apache.zookeeper.server.quorum.QuorumPeerMain heap="-Xmx512M -Xms512M" ;;
  kafka-topics.sh) class=org.apache.kafka.tools.TopicCommand ;;
  kafka-broker-api-versions.sh)
    class=org.apache.kafka.tools.BrokerApiVersionsCommand # (moved with Kafka 4)
    ! has 'zookeeper-[0-9]*.jar' || class=kafka.admin.BrokerApiVersionsCommand
    ;;
  kafka-run-class.sh | kafka-script.sh) class=$1 && shift ;;
  *) echo "${0##*/}: not a script of this image" >&2 && exit 64 ;;
esac
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:-$heap} -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties \
  -Dlog4j.configuration=file:/opt/kafka/config/log4j.properties -Dlog.level="${KAFKA_LOG_LEVEL:-info}" \
  -cp '/opt/kafka/libs/*' "$class" "$@"
