"""Every call of operators."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.api.admin.alerts import AlertCalls, Alerts
from gateway.api.admin.anomalies import Anomalies, AnomalyCalls, Corrections
from gateway.api.admin.balances import Accounts, BalanceCalls, Balances
from gateway.api.admin.blocks import BlockCalls, Blocks
from gateway.api.admin.cards import OperatorCardCalls, OperatorCards
from gateway.api.admin.catalogue import CatalogueCalls, History
from gateway.api.admin.changes import Snapshots
from gateway.api.admin.channel_health import ChannelHealthCalls, SeenRates, Switches
from gateway.api.admin.channels import ChannelCalls, Channels
from gateway.api.admin.dead_letters import DeadLetterCalls, DeadLetters
from gateway.api.admin.differences import DifferenceCalls, Differences
from gateway.api.admin.endpoints import Backlogs, EndpointCalls, Endpoints
from gateway.api.admin.events import OperatorEventCalls, Redelivering
from gateway.api.admin.fee_proposals import FeeProposalCalls, TakenFees
from gateway.api.admin.merchants import MerchantCalls, Merchants
from gateway.api.admin.payments import Payments, PaymentSearchCalls
from gateway.api.admin.payout_rules import PayoutRuleCalls, PayoutRules
from gateway.api.admin.payouts import HeldPayouts, PayoutOperatorCalls, Payouts
from gateway.api.admin.reconciliation import Closing, Days, ReconciliationCalls, Runs
from gateway.api.admin.reports import ReportCalls, Reports
from gateway.api.admin.routes import RecordedRoutes, RouteSearchCalls
from gateway.api.admin.rules import RuleCalls, Rules
from gateway.api.admin.silent_refusals import SilentRefusalCalls, SilentRefusals
from gateway.api.admin.transaction_rules import TransactionRuleCalls, TransactionRules
from gateway.api.admin.windows import WindowCalls, Windows
from gateway.api.admin.words import WordCalls, Words
from gateway.api.http.routing import Route
from gateway.domain.catalogue import Account, Catalogue
from gateway.objects.catalogue import AccountNotes
from gateway.ports import Offer
from gateway.ports.transactions import TransactionRows

__all__ = ["Operators", "operator_routes"]


class CatalogueChanges(
    History,
    Merchants,
    Accounts,
    Channels,
    Windows,
    Rules,
    PayoutRules,
    Endpoints,
    SilentRefusals,
    TransactionRules,
    Protocol,
):
    """Where the catalogue is changed: a `CatalogueStore`."""


class Deliveries(DeadLetters, Redelivering, Protocol):
    """The books of deliveries: a `DeliveryStore`."""


class DifferenceBooks(Differences, Closing, Protocol):
    """The books of differences: a `DifferenceStore`."""


class LookUps(Payments, OperatorCards, Protocol):
    """Where operators look things up: an `OperatorSearch`."""


@dataclass(frozen=True, slots=True)
class Operators:
    """Everything that the operators' calls need; `gateway.run.wiring` fills it in."""

    changes: CatalogueChanges
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    """What can be done on an account."""
    notes: AccountNotes
    deliveries: Deliveries
    held: Backlogs
    alerts: Alerts
    rates: SeenRates
    switches: Switches
    anomalies: Anomalies
    corrections: Corrections
    blocks: Blocks
    words: Words
    payments: LookUps
    recorded_routes: RecordedRoutes
    payouts: Payouts
    held_payouts: HeldPayouts
    balances: Balances
    days: Days
    differences: DifferenceBooks
    day_runs: Runs
    taken_fees: TakenFees
    reports: Reports
    transactions: TransactionRows
    catalogue: Callable[[], Catalogue]
    """The one in force."""
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    zone: ZoneInfo
    """Of the business day."""


def operator_routes(needs: Operators) -> list[Route]:
    """The routes of every call of operators."""
    return [
        *CatalogueCalls(needs.changes, needs.snapshots, needs.notes, needs.clock).routes(),
        *MerchantCalls(needs.changes, needs.snapshots, needs.offer_of, needs.clock).routes(),
        *ChannelCalls(needs.changes, needs.snapshots, needs.offer_of, needs.clock).routes(),
        *BalanceCalls(needs.balances, needs.changes, needs.snapshots, needs.offer_of, needs.clock).routes(),
        *WindowCalls(needs.changes, needs.snapshots, needs.clock, needs.new_id).routes(),
        *RuleCalls(needs.changes, needs.snapshots, needs.offer_of, needs.clock).routes(),
        *PayoutRuleCalls(needs.changes, needs.snapshots, needs.offer_of, needs.clock).routes(),
        *TransactionRuleCalls(needs.changes, needs.transactions, needs.snapshots, needs.clock).routes(),
        *EndpointCalls(needs.changes, needs.held, needs.snapshots, needs.clock).routes(),
        *SilentRefusalCalls(needs.changes, needs.snapshots, needs.clock).routes(),
        *BlockCalls(needs.blocks, needs.snapshots, needs.clock).routes(),
        *DeadLetterCalls(needs.deliveries, needs.catalogue).routes(),
        *OperatorEventCalls(needs.deliveries, needs.catalogue, needs.clock).routes(),
        *AlertCalls(needs.alerts, needs.catalogue, needs.clock).routes(),
        *ChannelHealthCalls(needs.rates, needs.switches, needs.catalogue, needs.clock).routes(),
        *AnomalyCalls(needs.anomalies, needs.corrections, needs.catalogue).routes(),
        *WordCalls(needs.words, needs.catalogue).routes(),
        *PaymentSearchCalls(needs.payments, needs.catalogue, needs.clock).routes(),
        *RouteSearchCalls(needs.recorded_routes, needs.catalogue).routes(),
        *PayoutOperatorCalls(needs.payouts, needs.held_payouts, needs.catalogue).routes(),
        *ReconciliationCalls(needs.days, needs.differences, needs.day_runs, needs.catalogue, needs.clock).routes(),
        *FeeProposalCalls(needs.days, needs.taken_fees, needs.catalogue).routes(),
        *DifferenceCalls(needs.differences, needs.catalogue, needs.clock, needs.zone).routes(),
        *ReportCalls(needs.reports, needs.catalogue).routes(),
        *OperatorCardCalls(needs.payments, needs.catalogue).routes(),
    ]
