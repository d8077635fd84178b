"""`sluice check FILE`: say everything that is wrong with a configuration, or show what it means."""

import argparse
import os

from gateway.config.errors import ConfigErrors
from gateway.config.load import Config, load

HELP = "check a configuration; print every mistake with its line and column"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("file", metavar="FILE", help="the configuration, YAML")
    parser.add_argument("--effective", action="store_true", help="print the whole configuration, defaults filled in, secrets as ***")


def run(args: argparse.Namespace) -> int:
    """Check the file; exit status 0 when it is right, 1 when it is not."""
    try:
        config = load(args.file, os.environ)
    except ConfigErrors as exc:
        for error in exc.errors:
            print(error)
        print(f"{args.file}: {_counted(len(exc.errors), 'error')}")
        return 1
    print(config.effective() if args.effective else summary(config), end="" if args.effective else "\n")
    return 0


def summary(config: Config) -> str:
    """Return one line on a configuration that is right."""
    catalog = config.catalog
    backends = sum(len(model.backends) for model in catalog.models.values())
    counts = (
        _counted(len(catalog.models), "model"),
        _counted(backends, "backend"),
        _counted(len(catalog.routes), "route"),
        _counted(len(config.slos), "SLO"),
        _counted(len(catalog.classes), "class", "classes"),
        _counted(len(catalog.tenants), "tenant"),
    )
    return f"{config.path}: OK ({', '.join(counts)}; law {config.pricing.law}, mode {config.mode}, hash {config.hash})"


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
