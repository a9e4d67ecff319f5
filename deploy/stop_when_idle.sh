#!/usr/bin/env bash
# Shuts this machine down once nothing has been tuned on it for so many minutes (60), and nobody is
# logged in. Cron calls it every five minutes, as the user that runs Ray.
set -euo pipefail
minutes=${1:-60}
busy=/dev/shm/chameleon-$UID-busy # its time is when the machine was last busy; gone after a restart

working() {
  pgrep -u "$UID" -fa '^ray::|tune_net\.py|bin/chameleon ' | grep -qv 'ray::IDLE'
}

if [[ ! -e $busy || -n $(who) ]] || working; then
  touch "$busy"
elif [[ -z $(find "$busy" -mmin "-$minutes") ]]; then
  sudo shutdown -h now
fi
