#!/bin/bash
# preStop of the sidecar: waits until no client has a session, at most LIMIT_S seconds.
#
#   wait-for-clients LIMIT_S
#
# What ends the sidecar is the SIGTERM afterwards, which closes ports and sessions. A native sidecar
# gets it when the app's containers have ended, so nothing is waited for in vain; where the sidecar
# is a container like others, this is what lets the app finish first. Ends at once, with 1, when the
# sidecar does not answer.
set -u
limit_s=${1:?wait-for-clients: LIMIT_S is missing}
port=${CROSSFADE_CONTROL:-127.0.0.1:8000}
port=${port##*:}

# The sum of crossfade_sessions_open over all interlays; nothing, and 1, when it is not to be had.
sessions() {
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
  awk '/^HTTP/ { ok = $2 == 200 } /^crossfade_sessions_open[{]/ { open += $NF }
       END { if (!ok) exit 1; printf "%d\n", open }' <&3
}

end=$((SECONDS + limit_s))
while true; do
  open=$(sessions 2>/dev/null) || { echo "wait-for-clients: no metrics on port $port" >&2; exit 1; }
  [ "$open" -gt 0 ] || exit 0
  [ $SECONDS -lt $end ] || { echo "wait-for-clients: $open sessions after $limit_s s" >&2; exit 0; }
  sleep 0.2
done
