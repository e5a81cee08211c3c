#!/bin/sh
# Runs before everything else: makes Redis' password once, which nobody needs to know, and its access list; and, once,
# the secret that ids and entities are hashed with in Redis. Without that one what Redis remembers is unreachable: keep a
# copy of it (docs/backup.md).
# It mounts every volume first, so that each belongs to the user of the images.
set -eu
umask 077
# Images make their directories readable by all, and so did older releases. `var` may be passed through: how jobs ended,
# in var/jobs, is for node_exporter.
for volume in model_store verified redis-data redis-secrets history-key; do chmod 700 "/srv/$volume"; done
chmod 711 /srv/var
cd /srv/redis-secrets
if [ ! -s url ]; then
  printf 'redis://fraud:%s@redis:6379/0\n' "$(head -c 32 /dev/urandom | sha256sum | cut -c1-64)" > url.new
  mv url.new url
fi
password=$(sed 's|redis://fraud:\([^@]*\)@.*|\1|' url)
digest=$(printf %s "$password" | sha256sum | cut -c1-64)
# `fraud` may read and write what is ours, in scripts too, and do nothing with the server; `health` may say PING.
printf 'user default off\nuser health on nopass nocommands +ping\nuser fraud on #%s ~fraud:* resetchannels -@all +@connection +@read +@write +@transaction +eval +evalsha +script|load +script|exists -function -@admin -@dangerous +info\n' \
  "$digest" > users.acl.new
mv users.acl.new users.acl
cd /srv/history-key
if [ ! -s key ]; then
  head -c 32 /dev/urandom | sha256sum | cut -c1-64 > key.new
  mv key.new key
fi
