#!/bin/sh
# Pulls IMAGE over TLS with ctr, which uses plain HTTP on 127.0.0.1 unless a file says otherwise:
# ctr_pull_tls.sh REGISTRY CA_FILE FOLDER IMAGE
set -e
mkdir -p "$3/$1"
printf '[host."https://%s"]\nca = "%s"\n' "$1" "$2" > "$3/$1/hosts.toml"
ctr images pull --hosts-dir "$3" "$4"
