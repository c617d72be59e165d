#!/bin/busybox sh
# shellcheck shell=dash
# Runs inside the loopback machine, started by coffer-init: the network card that leads to the test, and a bridge from there to
# the enclave's vsock; then the program that was given, with its arguments.
set -e
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
coffer bridge --listen tcp://0.0.0.0:5001 --to vsock://1:5000 &
exec "$@"
