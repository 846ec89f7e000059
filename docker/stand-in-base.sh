#!/usr/bin/env bash
# Makes something to build on where no registry can be reached: Debian 13 with its own Python 3.13
# under the name that docker/Dockerfile asks for. It is for trying the image on this machine, not
# for shipping it: this machine's certificates are inside. Run by image-test.sh, whose containers
# configuration it uses.
# usage: stand-in-base.sh FOLDER   (as root; FOLDER is for the unpacked system)
set -euo pipefail

name=docker.io/library/python:3.13-slim
root=$1/rootfs
certificates=/etc/ssl/certs/ca-certificates.crt
# shellcheck disable=SC2016  # apt-get's own variable
mirror=$(apt-get indextargets --format '$(SITE)' | grep --max-count=1 --extended-regexp '/debian/?$')

rm -rf "$root"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv,tzdata \
    trixie "$root" "$mirror" > "$1/debootstrap.log" 2>&1 || { tail -20 "$1/debootstrap.log" >&2; exit 1; }

# As in the image it stands for: python and pip in /usr/local/bin, and pip may be used.
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
ln -s /usr/bin/pip3 "$root/usr/local/bin/pip"
rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED "$root"/var/cache/apt/archives/*.deb
if [ -s "$certificates" ]; then cp "$certificates" "$root$certificates"; fi

container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / > /dev/null
buildah config --cmd python3 \
    --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 \
    --env SSL_CERT_FILE=$certificates --env PIP_CERT=$certificates "$container"
buildah commit --quiet --rm "$container" "$name" > /dev/null
rm -rf "$root"
