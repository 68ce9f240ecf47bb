"""The admin calls: read the catalogue; change channels, maintenance windows and rules. Each change is a new version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from gateway.api.admin.objects import catalogue_object, channel_object, merchant_object, rule_object, window_object
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.admin.schemas import (
    CatalogueAnswer,
    ChannelAnswer,
    ChannelChanges,
    ChannelList,
    MerchantList,
    NewWindow,
    RemovedAnswer,
    RuleAnswer,
    RuleFields,
    RuleList,
    RuleSearch,
    WindowAnswer,
    WindowList,
)
from gateway.api.http.problems import FieldError, bad_fields, conflict, not_found, overloaded
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import (
    ANY_BANK,
    AuthenticationMode,
    Catalogue,
    Channel,
    MaintenanceWindow,
    RouteRule,
)
from gateway.domain.catalogue_content import (
    CatalogueBusyError,
    CatalogueChange,
    CatalogueRefusedError,
    NotInCatalogueError,
    can_authenticate,
)
from gateway.domain.ids import WINDOW, IdError, read
from gateway.domain.scenes import Scene
from gateway.ports import Declaration

__all__ = ["CatalogueChanges", "Snapshots", "admin_routes"]

BY = "admin"
MAX_HISTORY = 50
RETRY_AFTER_S = 1
CHANNEL = f"{MERCHANT}/channels/{{channel}}"
WINDOWS = f"{CHANNEL}/maintenance_windows"
RULES = f"{CHANNEL}/rules"
RULE = f"{RULES}/{{scene}}/{{bank}}"


class Snapshots(Protocol):
    """Where the catalogue is read: a `CatalogueWatch`."""

    async def refresh_now(self) -> Catalogue:
        """The catalogue as it is in the database now."""
        ...


class CatalogueChanges(Protocol):
    """Where it is changed: a `CatalogueStore`. Each change raises the errors of `gateway.domain.catalogue_content`."""

    async def history(self, limit: int) -> list[CatalogueChange]: ...

    async def app_names(self) -> dict[tuple[UUID, str], str]: ...

    async def set_channel(
        self,
        merchant_id: UUID,
        code: str,
        *,
        by: str,
        now: datetime,
        on: bool | None = None,
        name: str | None = None,
        authentication: Mapping[str, AuthenticationMode] | None = None,
        authentication_fee: int | None = None,
        limits: Mapping[str, int | None] | None = None,
    ) -> int: ...

    async def add_window(self, window: MaintenanceWindow, *, by: str, now: datetime) -> int: ...

    async def remove_window(self, merchant_id: UUID, window_id: UUID, *, by: str, now: datetime) -> int: ...

    async def put_rule(self, rule: RouteRule, *, by: str, now: datetime) -> int: ...

    async def delete_rule(
        self, merchant_id: UUID, channel: str, scene: Scene, bank: str, *, by: str, now: datetime
    ) -> int: ...


def admin_routes(
    store: CatalogueChanges,
    snapshots: Snapshots,
    declaration_of: Callable[[str], Declaration],
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> tuple[Route, ...]:
    """The admin calls of the catalogue. `declaration_of`: what a provider can do, by its name."""
    calls = _AdminCalls(store, snapshots, declaration_of, clock, new_id)
    about = MERCHANT_ABOUT | {"channel": "the channel's code"}
    about_rule = about | {"scene": "the payment scene", "bank": "the bank code"}

    def route(
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        handler: Handler,
        summary: str,
        answer: Answer,
        **more: Any,
    ) -> Route:
        status = 201 if method == "POST" else 200
        names = {name: text for name, text in more.pop("path_about", about).items() if f"{{{name}}}" in path}
        problems: tuple[int, ...] = (409, 503) if method != "GET" else ()
        handle = _problems_told(handler)
        return Route(
            method,
            path,
            handle,
            summary,
            TAGS,
            {status: answer},
            scope="admin",
            problems=problems,
            path_about=names,
            **more,
        )

    about_window = about | {"window": "the window's id, mw_…"}
    removed = Answer(RemovedAnswer, "removed")
    rule = Answer(RuleAnswer, "the rule as it is now")
    channel = Answer(ChannelAnswer, "the channel as it is now")
    window = Answer(WindowAnswer, "the window")
    whole = Answer(CatalogueAnswer, "everything")
    return (
        route("GET", "/v1/admin/catalogue", calls.catalogue, "everything configured, without secrets", whole),
        route("GET", "/v1/admin/merchants", calls.merchants, "every merchant", Answer(MerchantList, "merchants")),
        route(
            "GET", f"{MERCHANT}/channels", calls.channels, "a merchant's channels", Answer(ChannelList, "its channels")
        ),
        route("PATCH", CHANNEL, calls.change_channel, "switch or change a channel", channel, body=ChannelChanges),
        route("GET", WINDOWS, calls.windows, "a channel's maintenance windows", Answer(WindowList, "its windows")),
        route("POST", WINDOWS, calls.add_window, "add a maintenance window", window, body=NewWindow),
        route(
            "DELETE",
            f"{WINDOWS}/{{window}}",
            calls.remove_window,
            "remove a maintenance window",
            removed,
            path_about=about_window,
        ),
        route("GET", RULES, calls.rules, "a channel's rules", Answer(RuleList, "its rules"), query=RuleSearch),
        route("PUT", RULE, calls.put_rule, "add or replace a rule", rule, body=RuleFields, path_about=about_rule),
        route("DELETE", RULE, calls.delete_rule, "remove a rule", removed, path_about=about_rule),
    )


def _problems_told(handler: Handler) -> Handler:
    async def handle(call: Call) -> Reply:
        try:
            return await handler(call)
        except NotInCatalogueError as error:
            raise not_found(error.what) from None
        except CatalogueRefusedError as error:
            raise conflict("catalogue_refused", f"{error}.") from None
        except CatalogueBusyError:
            raise overloaded(RETRY_AFTER_S) from None

    return handle


@dataclass(frozen=True, slots=True)
class _AdminCalls:
    store: CatalogueChanges
    snapshots: Snapshots
    declaration_of: Callable[[str], Declaration]
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]

    async def catalogue(self, _call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        apps, history = await self.store.app_names(), await self.store.history(MAX_HISTORY)
        return Reply(catalogue_object(snapshot, apps, history, self.clock()))

    async def merchants(self, _call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        ordered = sorted(snapshot.merchants.values(), key=lambda merchant: merchant.code)
        return Reply({"data": [merchant_object(merchant) for merchant in ordered]})

    async def channels(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        merchant, now = merchant_of(snapshot, call), self.clock()
        mine = [c for (owner, _), c in snapshot.channels.items() if owner == merchant.merchant_id]
        return Reply({"data": [channel_object(snapshot, channel, now) for channel in mine]})

    async def change_channel(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, changes = _channel(snapshot, call), call.body
        self._check_modes(snapshot, channel, changes.authentication or {})
        await self.store.set_channel(
            channel.merchant_id,
            channel.code,
            by=BY,
            now=self.clock(),
            on=changes.on,
            name=changes.name,
            authentication=changes.authentication,
            authentication_fee=changes.authentication_fee,
            limits=changes.limits,
        )
        after = await self.snapshots.refresh_now()
        return Reply(channel_object(after, _channel(after, call), self.clock()))

    async def windows(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel = _channel(snapshot, call)
        found = snapshot.windows.get((channel.merchant_id, channel.code), [])
        return Reply({"data": [window_object(window) for window in found]})

    async def add_window(self, call: Call) -> Reply:
        channel, body = _channel(await self.snapshots.refresh_now(), call), call.body
        window = MaintenanceWindow(
            channel.merchant_id, self.new_id(), channel.code, body.starts_at, body.ends_at, body.note
        )
        await self.store.add_window(window, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply(window_object(window), 201)

    async def remove_window(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel = _channel(snapshot, call)
        try:
            window_id = read(WINDOW, call.path["window"])
        except IdError:
            raise NotInCatalogueError("maintenance window") from None
        found = snapshot.windows.get((channel.merchant_id, channel.code), [])
        if all(window.window_id != window_id for window in found):
            raise NotInCatalogueError("maintenance window")
        await self.store.remove_window(channel.merchant_id, window_id, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "maintenance_window", "removed": True})

    async def rules(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, wanted = _channel(snapshot, call), call.query
        found = [
            rule
            for (owner, scene, bank), rules in snapshot.rules.items()
            for rule in rules
            if (owner, rule.channel) == (channel.merchant_id, channel.code)
            and wanted.scene in (None, scene)
            and wanted.bank in (None, bank)
        ]
        return Reply({"data": [rule_object(rule) for rule in found]})

    async def put_rule(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, (scene, bank) = _channel(snapshot, call), _scene_and_bank(call)
        declaration = self._declaration(snapshot, channel)
        if scene not in declaration.scenes:
            raise bad_fields([FieldError("scene", "unsupported", f"is not one that {declaration.provider} can pay")])
        body: RuleFields = call.body
        rule = RouteRule(
            channel.merchant_id, channel.code, scene, bank, body.enabled, body.fee, body.priority, body.limits
        )
        await self.store.put_rule(rule, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply(rule_object(rule))

    async def delete_rule(self, call: Call) -> Reply:
        channel, (scene, bank) = _channel(await self.snapshots.refresh_now(), call), _scene_and_bank(call)
        await self.store.delete_rule(channel.merchant_id, channel.code, scene, bank, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "rule", "removed": True})

    def _declaration(self, catalogue: Catalogue, channel: Channel) -> Declaration:
        return self.declaration_of(catalogue.accounts[channel.merchant_id, channel.account].provider)

    def _check_modes(
        self, catalogue: Catalogue, channel: Channel, authentication: Mapping[str, AuthenticationMode]
    ) -> None:
        declaration = self._declaration(catalogue, channel)
        errors = []
        for bank, mode in authentication.items():
            if bank != ANY_BANK and bank not in bank_names():
                errors.append(FieldError("authentication", "bank", "must have known bank codes and * only"))
            if not can_authenticate(mode, silently=declaration.authenticates_silently):
                message = f"{declaration.provider} cannot authenticate by {mode}"
                errors.append(FieldError("authentication", "unsupported", message))
        if errors:
            raise bad_fields(list(dict.fromkeys(errors)))


def _channel(catalogue: Catalogue, call: Call) -> Channel:
    channel = catalogue.channels.get((merchant_of(catalogue, call).merchant_id, call.path["channel"]))
    if channel is None:
        raise NotInCatalogueError("channel")
    return channel


def _scene_and_bank(call: Call) -> tuple[Scene, str]:
    scene, bank = call.path["scene"], call.path["bank"]
    if scene not in set(Scene):
        raise NotInCatalogueError("scene")
    if bank not in bank_names():
        raise NotInCatalogueError("bank")
    return Scene(scene), bank
