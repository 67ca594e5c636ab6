#!/bin/bash
# preStop of the sidecar: waits until no client has a session, at most LIMIT_S seconds.
#
#   wait-for-clients LIMIT_S
#
# What ends the sidecar is the SIGTERM afterwards, which closes ports and sessions. A native sidecar
# gets it when the app's containers have ended, so nothing is waited for in vain; where the sidecar
# is a container like others, this is what lets the app finish first. Ends at once, with 1, when the
# sidecar is not there. Where the control port asks for TLS or a token, the kernel is asked instead.
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

# The process that listens on the control port.
printf -v control ':%04X' "$port"
process() {
  local inode
  inode=$(cat /proc/net/tcp /proc/net/tcp6 |
    awk -v at="$control\$" '$4 == "0A" && $2 ~ at && !found { print $10; found = 1 }')
  [ -n "$inode" ] || return 1
  find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$inode\\]" -printf '%h\n' -quit | tr -cd 0-9
}

# The connections that it has taken at its other ports. /proc/PID/fd tells which sockets are its
# own, and /proc/net/tcp what they are.
connections() {
  [ -d "/proc/$pid/fd" ] || return 1
  { find "/proc/$pid/fd" -maxdepth 1 -lname 'socket:*' -printf '%l\n'
    cat /proc/net/tcp /proc/net/tcp6; } |
    awk -v control="$control" '
      /^socket:/ { ours[substr($1, 9, length($1) - 9)] = 1; next }
      !($10 in ours) { next }
      { at = $2; sub(/^[^:]*/, "", at) }
      $4 == "0A" { if (at != control) listens[at] = 1; next }
      { taken[at]++ }
      END { for (at in listens) open += taken[at]; printf "%d\n", open }'
}

end=$((SECONDS + limit_s))
pid=
while true; do
  if [ -n "$pid" ] || ! open=$(sessions 2>/dev/null); then
    [ -n "$pid" ] || pid=$(process 2>/dev/null)
    open=$([ -n "$pid" ] && connections 2>/dev/null) ||
      { echo "wait-for-clients: nobody is found on port $port" >&2; exit 1; }
  fi
  [ "$open" -gt 0 ] || exit 0
  [ $SECONDS -lt $end ] || { echo "wait-for-clients: $open sessions after $limit_s s" >&2; exit 0; }
  sleep 0.2
done
