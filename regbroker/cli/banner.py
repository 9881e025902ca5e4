"""What `twistd -n regbroker` says when it is ready: lines to paste."""

from __future__ import annotations

from pathlib import Path

from regbroker.cli.asked_host import asked_host
from regbroker.cli.summary import served
from regbroker.naming.public_hosts import host_to_try
from regbroker.settings.config import Config

_EXAMPLE = "alpine:3.20"


def banner(config: Config, urls: list[str]) -> str:
    """
    Return what is served, and commands that try it.

    `urls` are those that the listeners have opened, as ``https://HOST:PORT``.
    """
    lines = ["", "regbroker serves", ""]
    for registry in config.registries:
        lines += served(config, registry)
    lines += [
        f"  ns {source} -> [registry {host}]" for source, host in config.mirrors.items()
    ]
    url = next((url for url in urls if url.startswith("https://")), None)
    if url is None:
        return "\n".join([*lines, ""])
    registry = config.registries[0]
    port = url.rsplit(":", 1)[1]
    host, source = asked_host(config, registry)
    if source:
        # It is asked so by programs that know mirrors; these lines are for people.
        host = host_to_try(registry.host, registry.hosts)
    name = _name_to_try(config)
    user = next(iter(config.upstreams[registry.upstreams[0]].users.items()), None)
    user_name, password = user or ("USER", "PASSWORD")
    netloc = f"{host}:{port}"
    resolve = "" if host == "localhost" else f" --resolve {netloc}:127.0.0.1"
    is_read_only = registry.writes == "deny"
    trust, options = "", ""
    if not config.certificates:
        certificate = Path(config.state_directory).resolve() / "self-signed.pem"
        trust = f" --cacert {certificate}"
        options = " --tls-verify=false" if is_read_only else " --dest-tls-verify=false"
    image = f"{netloc}/{name}:latest"
    account = f"{user_name}:{password}"
    if is_read_only:
        skopeo = f"skopeo inspect{options} --creds {account} docker://{image}"
        docker = [f"docker pull {image}"]
    else:
        skopeo = (
            f"skopeo copy{options} --dest-creds {account} "
            f"docker://docker.io/library/{_EXAMPLE} docker://{image}"
        )
        docker = [
            f"docker pull {_EXAMPLE}",
            f"docker tag {_EXAMPLE} {image}",
            f"docker push {image}",
        ]
    lines += [
        "",
        "Try it:",
        "",
        f"  curl{trust}{resolve} https://{netloc}/v2/ -i",
        f"  curl{trust}{resolve} -u {account} "
        f"'https://{netloc}{registry.token_path}?scope=repository:{name}:pull'",
        f"  {skopeo}",
        "",
    ]
    if not config.certificates:
        lines += [
            f"  sudo install -D -m 644 {certificate} "
            f"/etc/docker/certs.d/{netloc}/ca.crt",
        ]
    lines += [
        f"  docker login -u {user_name} {netloc}",
        *(f"  {command}" for command in docker),
    ]
    return "\n".join([*lines, ""])


def _name_to_try(config: Config) -> str:
    public = config.registries[0].mapping.rules[0].public
    return f"{public.text}app" if public.star else f"{public.text}/app"
