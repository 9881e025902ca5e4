#!/bin/sh
# The real clients and servers that the integration tests work with. With the argument
# `bench`: those that the benchmark compares and measures with.
# Root on Debian: installs what is missing. Otherwise: says what is missing, and the
# tests that need it are skipped; with CI=true that is an error.
set -eu

# daemons are there, and not on everybody's path
PATH=$PATH:/usr/local/sbin:/usr/sbin

# PACKAGE, or PACKAGE:PROGRAM where the two are called differently
peers='docker-registry skopeo podman containerd slapd ldap-utils:ldapmodify
    apache2-utils:htpasswd nginx haproxy tinyproxy squid curl buildah systemd:systemd-analyze prometheus chromium
    docker.io:dockerd'
if [ "${1:-}" = bench ]; then
    peers='nginx haproxy caddy wrk curl'
fi

missing() {
    for peer in $peers; do
        command -v "${peer#*:}" >/dev/null || printf '%s ' "${peer%%:*}"
    done
}

# Debian starts a service as it installs it, and docker-registry listens on every
# address. Exit 101 from policy-rc.d is Debian's way to say no; a policy that is
# already there stays as it is.
install_quietly() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -qq || return
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null || return
    for service in docker-registry containerd slapd nginx tinyproxy squid haproxy caddy prometheus docker.io; do
        case " $* " in *" $service "*)
            stop "${service%.io}" || echo "peers: could not disable $service" >&2 ;;
        esac
    done
}

# Nor at the next boot.
stop() {
    if [ -d /run/systemd/system ]; then
        systemctl disable --quiet --now "$1"
    elif command -v systemctl >/dev/null; then
        systemctl disable --quiet "$1"
    elif [ -e "/etc/init.d/$1" ]; then
        update-rc.d "$1" disable
    fi
}

# An issuer of OpenID Connect, from npm where node is there; Debian has none.
missing_issuer() {
    [ "${1:-}" != bench ] && command -v npm >/dev/null &&
        [ ! -e "$(npm root --global)/oidc-provider" ]
}

if missing_issuer "$@" && [ "$(id -u)" = 0 ]; then
    echo 'peers: installing oidc-provider'
    npm install --global --silent oidc-provider@9 || echo 'peers: npm failed' >&2
fi

wanted=$(missing)
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "peers: installing $wanted"
    # shellcheck disable=SC2086  # one word for each package
    install_quietly $wanted || echo 'peers: apt-get failed' >&2
    wanted=$(missing)
fi
if missing_issuer "$@"; then
    wanted="$wanted oidc-provider"
fi
if [ -z "$wanted" ]; then
    echo 'peers: all present'
elif [ "${CI:-}" = true ]; then
    echo "peers: missing, and CI runs every test: $wanted" >&2
    exit 1
else
    echo "peers: missing, so the tests that need them are skipped: $wanted"
fi
