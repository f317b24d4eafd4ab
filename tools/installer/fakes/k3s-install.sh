#!/bin/sh
. "$FAKE/fakes/record.sh"
changes_something
umask >"$FAKE/umask"
[ -x "$INSTALL_K3S_BIN_DIR/k3s" ] || exit 1
uninstall=$INSTALL_K3S_BIN_DIR/${INSTALL_K3S_NAME:-k3s}-uninstall.sh
mkdir -p "$FAKE/clusters/default/definitions" "$FAKE/clusters/default/classes" "$FAKE/clusters/default/namespaces/default"
cat >"$uninstall" <<'UNINSTALL'
#!/bin/sh
. "$FAKE/fakes/record.sh"
changes_something
rm -rf "$FAKE/clusters/default"
rm -f "${0%/*}/k3s" "${0%/*}/kubectl" "$0"
UNINSTALL
[ -e "$FAKE/bin/kubectl" ] || ln -s "$FAKE/fakes/kubectl" "$INSTALL_K3S_BIN_DIR/kubectl"
chmod 755 "$uninstall"
