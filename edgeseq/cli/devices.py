"""`edgeseq devices`."""

from dataclasses import asdict

import click

from edgeseq.cli import options


@click.command(short_help="List device profiles, show one, or detect this machine.")
@click.argument("name", required=False)
@click.option("--detect", is_flag=True, help="Say what this machine is, and which profiles fit.")
@options.as_json
def devices(name: str | None, detect: bool, as_json: bool) -> None:
    """List the device profiles; with NAME show one: facts, session settings, budget.

    \b
    edgeseq devices raspberry-pi-4
    edgeseq devices --detect
    """
    from edgeseq.devices import list_devices, load_device
    from edgeseq.report.text import device_page, devices_table

    if detect:
        _detect(as_json)
    elif name:
        profile = load_device(name)
        options.show(asdict(profile) if as_json else device_page(profile))
    else:
        profiles = [load_device(name) for name in list_devices()]
        options.show(
            [asdict(profile) for profile in profiles] if as_json else devices_table(profiles)
        )


def _detect(as_json: bool) -> None:
    from edgeseq.bench.machine import this_machine
    from edgeseq.devices import detect
    from edgeseq.report.text import machine_page

    machine = this_machine()
    found = detect(machine)
    options.show(
        {"machine": asdict(machine), "devices": found} if as_json else machine_page(machine, found)
    )
