"""The command `sluice`. Everything heavy is imported by the command that needs it, so that `--help` is quick."""

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gateway.run.new_adapter import new_adapter

__all__ = ["app", "main"]

EXIT_UNUSABLE = 2
YOUNG_OBJECTS_AT_START = 50_000
"""Between two looks of the garbage collector. What is imported stays: with Python's 700, looking at it again and again
takes a sixth of a start. Serving tunes it anew (collector.py)."""
T = TypeVar("T")

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sluice (水闸), an async payment gateway. Settings come from the environment (SLUICE_…): docs/operations.md.",
)
catalogue = typer.Typer(no_args_is_help=True, help="Merchants, apps, accounts, channels and rules.")
route = typer.Typer(no_args_is_help=True, help="Why payments took their channels.")
app.add_typer(catalogue, name="catalogue")
app.add_typer(route, name="route")
cards = typer.Typer(no_args_is_help=True, help="Cards at rest: the keys they are under, and erasing one.")
app.add_typer(cards, name="cards")
reports = typer.Typer(help="What channels cost and earned; `report bill`: what a PSP should invoice.")
app.add_typer(reports, name="report")
rules = typer.Typer(no_args_is_help=True, help="Transaction rules (异常交易), before they are put in force.")
app.add_typer(rules, name="rules")


@contextmanager
def _plainly(*, interrupted: int = 0, unreachable: int = EXIT_UNUSABLE) -> Iterator[None]:
    """End as a program should: what an operator can mend is a sentence, not a traceback.

    `interrupted` is the exit status after a signal to end: 0 where that is how the command ends; `unreachable` the one
    when the database does not answer.
    """
    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError

    from gateway.catalogue_file import CatalogueFileError
    from gateway.domain.catalogue_content import CatalogueBusyError, CatalogueRefusedError
    from gateway.domain.ids import IdError
    from gateway.refused_rows import forget_row
    from gateway.run.local import LocalError, UnreachableError
    from gateway.run.supervising import ChildEndedError, Interrupted, PortInUseError, interruptible
    from gateway.storage.keys import DecryptionError, KeyRingError
    from gateway.storage.server.bounds import PoolerError
    from gateway.storage.server.data_folder import DataFolderError
    from gateway.storage.server.distribute import DistributionError
    from gateway.storage.server.migrate import MigrationsPendingError

    refusals = (CatalogueFileError, CatalogueRefusedError, CatalogueBusyError, IdError, LocalError, KeyRingError)
    unusable = (DataFolderError, MigrationsPendingError, PortInUseError, DecryptionError)
    wrong_server = (DistributionError, PoolerError)
    try:
        with interruptible():
            yield
    except Interrupted:
        raise typer.Exit(interrupted) from None
    except ChildEndedError as error:
        _fail(str(error), 1)
    except UnreachableError as error:
        _fail(str(error), unreachable)
    except ValidationError as error:
        from gateway.settings import setting_problem

        _fail("\n".join(setting_problem(problem) for problem in error.errors(include_url=False, include_input=False)))
    except (*refusals, *unusable, *wrong_server) as error:
        _fail(str(error))
    except DBAPIError as error:
        forget_row(error)
        _fail(f"the database says: {error.orig}", unreachable)
    except BrokenPipeError:
        # Whoever read what we print has gone (`| head`); nothing is left to flush into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        where = error.filename or "the database of SLUICE_DATABASE_URL"
        _fail(f"{where}: {error.strerror or error}", EXIT_UNUSABLE if error.filename else unreachable)


def _fail(message: str, status: int = EXIT_UNUSABLE) -> None:
    sys.stderr.write(f"sluice: {message}\n")
    raise typer.Exit(status)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _settings() -> Any:
    from gateway import logs
    from gateway.settings import Settings, unknown_variables

    settings = Settings()
    console = {"auto": None, "console": True, "json": False}[settings.log_format]
    logs.configure(settings.log_level, console=console)
    for name in unknown_variables(os.environ):
        logs.get(__name__).warning("this variable is no setting", variable=name)
    return settings


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sluice {installed_version('sluice')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """What every command takes."""


@app.command()
def run() -> None:
    """Try it: database, mock PSPs, gateway with workers and a sample business system, from one command."""
    with _plainly():
        from rich.console import Console

        from gateway.run.development import announce, refuse_production, running_system, with_ports

        settings = _settings()
        refuse_production(settings, "run")
        settings = with_ports(settings)
        with running_system(settings) as (addresses, family):
            announce(addresses, settings, Console())
            family.watch()


@app.command()
def demo(
    payments: Annotated[int, typer.Option(min=1, max=100_000, help="How many payments to make.")] = 300,
    concurrency: Annotated[int, typer.Option(min=1, max=500, help="How many at once.")] = 32,
    seed: Annotated[int | None, typer.Option(help="Makes the same payments again.")] = None,
) -> None:
    """Drive payments, refunds and payouts through a running or a fresh system, and compare all books."""
    with _plainly(interrupted=130):
        from gateway.run.demo import run_demo

        equal = run_demo(_settings(), payments, concurrency, seed)
    raise typer.Exit(0 if equal else 1)


@app.command()
def serve(
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    workers: Annotated[
        bool, typer.Option("--workers/--no-workers", help="Follow up open payments and deliver notifications here too.")
    ] = True,
    child: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the API on SLUICE_HOST:SLUICE_PORT."""
    with _plainly(unreachable=os.EX_TEMPFAIL if child else EXIT_UNUSABLE):
        from gateway.run.local import owned_database, with_local_secrets
        from gateway.run.serving import run_processes, run_server
        from gateway.storage.server.migrate import upgrade

        settings = _settings()
        owns = settings.database_url is None
        with owned_database(settings) as url:
            settings = with_local_secrets(settings.model_copy(update={"database_url": url}))
            if owns:
                _run(upgrade(url))
            if processes > 1:
                run_processes(settings, processes, workers=workers)
            else:
                run_server(settings, workers=workers, reuse_port=child)


@app.command()
def worker(
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, envvar="SLUICE_METRICS_PORT", help="For /metrics; 0 takes a free one."),
    ] = None,
) -> None:
    """Follow up open payments and deliver notifications, without the API; any number of workers share the work."""
    with _plainly():
        from gateway.run.local import database, with_local_secrets
        from gateway.run.serving import run_worker

        settings = _settings()
        with database(settings, make=False) as url:
            run_worker(with_local_secrets(settings.model_copy(update={"database_url": url})), metrics_port)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def sandbox(context: typer.Context) -> None:
    """The mock PSPs alone; takes the options of `python -m sandbox`."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *context.args])  # noqa: S606 -- our own program


@app.command()
def migrate(
    force: Annotated[
        bool, typer.Option("--force", help="Migrate though processes run that the new schema does not tolerate.")
    ] = False,
    distributed: Annotated[
        bool,
        typer.Option("--distribute", help="Then spread the tables over the Citus cluster whose coordinator this is."),
    ] = False,
) -> None:
    """Bring the database's schema to this version; interrupted and run again, it goes on where it ended."""
    with _plainly():
        from gateway.run.local import database
        from gateway.storage.server.distribute import NO_CLUSTER, DistributionError, distribute, require_cluster
        from gateway.storage.server.migrate import upgrade

        settings = _settings()
        if distributed and settings.database_url is None:
            raise DistributionError(NO_CLUSTER)
        with database(settings) as url:
            if distributed:
                _run(require_cluster(url))
            done = _run(upgrade(url, typer.echo, force=force))
            spread = _run(distribute(url, typer.echo)) if distributed else None
    if done.before == done.after:
        typer.echo(f"at {done.after} already")
    else:
        typer.echo(f"from {done.before or 'nothing'} to {done.after}")
    if spread is not None:
        typer.echo(f"{spread} tables were spread" if spread else "every table is spread already")


@app.command()
def doctor() -> None:
    """Prove from the books that nothing is lost: says what is wrong, with ids; exit status 1 when something is.

    It also says what it looked at, and what is sound but waits for a person.
    """
    with _plainly():
        from gateway.run.commands import look_over
        from gateway.run.local import database

        with database(_settings(), make=False) as url:
            told = _run(look_over(url, lambda message: typer.echo(message, err=True)))
    for sentence in told.wrong:
        typer.echo(f"- {sentence}")
    if told.attention:
        typer.echo("for a person to look at:")
    for sentence in told.attention:
        typer.echo(f"- {sentence}")
    typer.echo("looked at " + ", ".join(f"{rows:,} {table}" for table, rows in told.looked_at.items()))
    typer.echo("something is wrong" if told.wrong else "nothing is wrong")
    raise typer.Exit(1 if told.wrong else 0)


@app.command()
def reconcile(
    account: Annotated[
        str | None,
        typer.Option(
            help="merchant.account, or its code alone; default: every account that has any and was ever used."
        ),
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="The day, YYYY-MM-DD; left out: yesterday in the business zone.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A file of the PSP's, of one account; repeat it."),
    ] = None,
    replace: Annotated[
        str | None, typer.Option(help="Why this file takes the place of the one that was loaded; the old one is kept.")
    ] = None,
    so_far: Annotated[
        bool, typer.Option("--so-far", help="Also a day that is not over; its whole statement takes this one's place.")
    ] = False,
    by: Annotated[str, typer.Option(help="Who says so.")] = "command",
) -> None:
    """Hold a day against the PSP's statement: fetch it or read it from files, compare, and print what differs.

    The same file again changes nothing. Safe beside payments. Exit status 1 when a day was refused, has no statement so
    far, or does not balance; differences alone are no failure.
    """
    with _plainly():
        from rich.console import Console

        from gateway.run.local import LocalError, database, with_local_secrets
        from gateway.run.reconciling import Wanted, day_of_text, reconcile
        from gateway.run.serving import run_async

        settings = _settings()
        if (file or replace) and account is None:
            raise LocalError("--file and --replace are about one account: say --account")
        wanted = Wanted(account, day_of_text(date), tuple(file or ()), by, replace, so_far)
        fine: list[bool] = []

        async def work(url: str) -> None:
            here = with_local_secrets(settings).model_copy(update={"database_url": url})
            fine.append(await reconcile(here, wanted, Console()))

        with database(settings, make=False) as url:
            run_async(work(url))
        if not all(fine):
            raise typer.Exit(1)


@reports.callback(invoke_without_command=True)
def report(
    context: typer.Context,
    merchant: Annotated[str | None, typer.Option(help="Its code; left out: the only one.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first business day, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last one, included.")] = None,
    by: Annotated[str, typer.Option(help="Some of day,month,channel,bank,scene; '' is one row of all.")] = "channel",
    as_csv: Annotated[bool, typer.Option("--csv", help="Every column, for spreadsheets.")] = False,
) -> None:
    """Sum the books of some business days: money, fees, rates, times, savings. Safe beside payments."""
    if context.invoked_subcommand is not None:
        return
    with _plainly():
        from zoneinfo import ZoneInfo

        from rich.console import Console

        from gateway.run import reporting
        from gateway.run.local import LocalError, database

        if first is None or last is None:
            raise LocalError("say of which days: --from 2026-03-01 --to 2026-03-31")
        wanted = reporting.WantedReport.of_texts(merchant, first, last, by, as_csv=as_csv)
        settings = _settings()
        with database(settings, make=False) as url:
            _run(reporting.report(url, ZoneInfo(settings.business_timezone), wanted, Console()))


@reports.command("bill")
def bill(
    channel: Annotated[str, typer.Option(help="The channel's code.")],
    month: Annotated[str, typer.Option(help="Of business days, YYYY-MM.")],
    merchant: Annotated[str | None, typer.Option(help="Its code; left out: the only one with that channel.")] = None,
    invoice: Annotated[str | None, typer.Option(help="What the PSP invoices, in yuan: 1234.56")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """What a channel's PSP should invoice for a month, held against what it does. Safe beside payments.

    Exit status 1 when the invoice says something else.
    """
    with _plainly():
        from zoneinfo import ZoneInfo

        from rich.console import Console

        from gateway.run import reporting
        from gateway.run.local import database

        wanted = reporting.WantedBill.of_texts(merchant, channel, month, invoice, as_csv=as_csv)
        settings = _settings()
        with database(settings, make=False) as url:
            made = _run(reporting.bill(url, ZoneInfo(settings.business_timezone), wanted, Console()))
        if made.apart:
            raise typer.Exit(1)


@rules.command("test")
def try_rules(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="TOML or YAML: docs/transaction-rules.md")],
    first: Annotated[str | None, typer.Option("--from", help="The first day, YYYY-MM-DD; left out: of seven.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last one, included; left out: today.")] = None,
    merchant: Annotated[
        str | None, typer.Option(help="Its code, where the file says none; left out: the only one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Ids and the newest hundred times too, for programs.")
    ] = False,
) -> None:
    """Say how often the transaction rules of a file would have fired. Changes nothing; safe beside payments.

    Exit status 1 when a rule is too wide to be tried.
    """
    with _plainly(interrupted=130):
        from datetime import datetime
        from zoneinfo import ZoneInfo

        from rich.console import Console

        from gateway.run import trying_rules
        from gateway.run.local import database

        settings = _settings()
        zone = ZoneInfo(settings.business_timezone)
        wanted = trying_rules.WantedTrial.of_texts(file, merchant, first, last, datetime.now(zone).date())
        with database(settings, make=False) as url:
            tried = _run(trying_rules.try_rules(url, zone, wanted, Console(stderr=True)))
        if as_json:
            typer.echo(trying_rules.tried_json(wanted, tried))
        else:
            trying_rules.print_tried(wanted, tried, zone, Console())
        if any(each.told is None for each in tried):
            raise typer.Exit(1)


@route.command("explain")
def explain(
    payment: Annotated[
        str, typer.Argument(help="pay_…, another id (ref_…, evt_…), the order number, our number at the PSP, or theirs")
    ],
) -> None:
    """Say in sentences why a payment took its channel, from the facts stored with it."""
    with _plainly():
        from gateway.run.commands import explain_payment
        from gateway.run.local import database

        with database(_settings(), make=False) as url:
            for sentence in _run(explain_payment(url, payment)):
                typer.echo(sentence)


@catalogue.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="TOML or YAML: docs/catalogue.md")],
    dry_run: Annotated[bool, typer.Option(help="Check the file, say what it would change; change nothing.")] = False,
) -> None:
    """Check a catalogue file whole, then put it in force, all of it or nothing."""
    with _plainly():
        from gateway.catalogue_file import read_catalogue
        from gateway.run.commands import apply_file
        from gateway.run.development import environment_of
        from gateway.run.local import LocalError, database, with_local_secrets
        from gateway.storage.server.migrate import MigrationsPendingError

        settings = _settings()
        environ = environment_of(settings)
        if not dry_run:
            with database(settings) as url:
                lines = _run(apply_file(url, with_local_secrets(settings), file, environ)).lines()
        else:
            try:
                with database(settings, make=False) as url:
                    plan = _run(apply_file(url, with_local_secrets(settings), file, environ, dry=True)).plan()
                lines = [f"{file}: no problems", *plan]
            except (LocalError, MigrationsPendingError) as error:
                content = read_catalogue(file, environ, callback_base=settings.callback_base)
                warned = [f"warning: {warning}" for warning in content.warnings]
                lines = [*warned, f"{file}: no problems, {len(content.merchants)} merchants", f"no plan: {error}"]
    for line in lines:
        typer.echo(line)


@catalogue.command("show")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="As the API shows it, for programs.")] = False,
) -> None:
    """Everything that is in force: merchants, apps, endpoints, accounts, channels, windows and rules. No secrets."""
    with _plainly():
        import orjson

        from gateway.run.commands import shown_catalogue
        from gateway.run.local import database, with_local_secrets
        from gateway.run.show import catalogue_lines

        settings = _settings()
        with database(settings, make=False) as url:
            shown = _run(shown_catalogue(url, with_local_secrets(settings)))
        lines = [orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()] if as_json else catalogue_lines(shown)
        for line in lines:
            typer.echo(line)


@catalogue.command("export")
def export() -> None:
    """Write what is in force as a catalogue file (TOML). In the place of secrets it says that they are kept."""
    with _plainly():
        from gateway.run.commands import exported_catalogue
        from gateway.run.local import database, with_local_secrets

        settings = _settings()
        with database(settings, make=False) as url:
            text = _run(exported_catalogue(url, with_local_secrets(settings)))
        typer.echo(text, nl=False)


@catalogue.command("bind-silently")
def bind_silently(
    merchant: Annotated[str, typer.Argument(help="The merchant's code.")],
    account: Annotated[str, typer.Argument(help="The account's code, as `catalogue show` lists it.")],
    bank: Annotated[str, typer.Argument(help="The bank code.")],
    note: Annotated[str, typer.Option(help="Why, for those who come later.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = "command",
) -> None:
    """Bind cards of a bank silently again, at an account whose PSP wanted an SMS for one of them."""
    with _plainly():
        from gateway.run.commands import clear_silent_refusal
        from gateway.run.local import database, with_local_secrets

        settings = _settings()
        with database(settings, make=False) as url:
            version = _run(
                clear_silent_refusal(url, with_local_secrets(settings), merchant, account, bank, by=by, note=note)
            )
        typer.echo(f"cards of {bank} are bound silently at {account} again: catalogue version {version}")


@cards.command("rewrap")
def rewrap_cards() -> None:
    """Put every card and secret under SLUICE_CARD_PRIMARY; safe beside payments, goes on where it was interrupted.

    Afterwards it says what is still under which key of the ring. Exit status 1 when something was left out.
    """
    with _plainly(interrupted=130):
        from rich.console import Console
        from rich.progress import Progress

        from gateway.run.cards import rewrap
        from gateway.run.local import database, with_local_secrets

        settings = _settings()
        with database(settings, make=False) as url, Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("cards")
            done = _run(
                rewrap(
                    url, with_local_secrets(settings), lambda n, total: progress.update(bar, completed=n, total=total)
                )
            )
    for line in done.lines():
        typer.echo(line)
    raise typer.Exit(0 if done.complete else 1)


@cards.command("erase")
def erase_card(
    merchant: Annotated[str, typer.Argument(help="the merchant's code")],
    card: Annotated[str, typer.Argument(help="card_…")],
) -> None:
    """Erase the person's data of a card for good: money records and the masked number stay."""
    with _plainly():
        from gateway.run.cards import erase
        from gateway.run.local import database, with_local_secrets

        settings = _settings()
        with database(settings, make=False) as url:
            for line in _run(erase(url, with_local_secrets(settings), merchant, card)):
                typer.echo(line)


app.command("new-adapter")(new_adapter)


def main() -> None:
    """The entry point of the console script."""
    gc.set_threshold(YOUNG_OBJECTS_AT_START)
    app()


if __name__ == "__main__":
    main()
