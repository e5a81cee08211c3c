#!/bin/sh
# Runs once before everything else: makes Redis' password, which nobody needs to know, and its access list.
# It mounts every volume first, so that each belongs to the user of the images.
set -eu
umask 077
cd /srv/redis-secrets
if [ ! -s url ]; then
  password=$(head -c 32 /dev/urandom | sha256sum | cut -c1-64)
  digest=$(printf %s "$password" | sha256sum | cut -c1-64)
  # `fraud` may do everything with data and nothing with the server; `health` may say PING.
  printf 'user default off\nuser health on nopass nocommands +ping\nuser fraud on #%s ~* &* +@all -@admin -@dangerous +info\n' \
    "$digest" > users.acl
  printf 'redis://fraud:%s@redis:6379/0\n' "$password" > url.new
  mv url.new url
fi
