"""The service: its parts wired together, its background tasks, its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from policy_service import demo
from policy_service.app.database import open_store, read_policy, unreachable
from policy_service.audit import Checkpointer, own_signer
from policy_service.callers import Seen
from policy_service.decide import Model
from policy_service.decision_log import recording
from policy_service.errors import PolicyError, StartError
from policy_service.members import (
    AddressChanges,
    Invitations,
    LetterLimits,
    Postmark,
    Prompts,
    Sender,
    carrier_for,
    read_key,
)
from policy_service.policy_text import read_file
from policy_service.replicate import Follower, Replica
from policy_service.rpc import (
    AUDIT,
    CALLERS,
    FOLLOWING,
    MANAGE_USERS,
    RELOADING,
    SEEDS,
    SENDING,
    AuditService,
    CallersService,
    Cursors,
    DecisionService,
    LogWalk,
    ManageUsersService,
    Planes,
    Reaches,
    Readiness,
    SeedService,
    contract_methods,
    say_readiness,
    serving,
    showing_metrics,
)
from policy_service.seed import SeedPlans, install
from policy_service.settings import Settings, policies_dir
from policy_service.store import (
    Store,
)
from policy_service.tasks import Supervisor, Work, end_all
from policy_service.tracing import tracing
from policy_service.vocabulary import DecisionLogFull

log = structlog.get_logger(__name__)

# Every background task that fails is begun again, for ever, and health says meanwhile what should not be used for it
# (rpc/readiness.py). One alone may end the process: without the watch nobody is told how this replica stands, so after
# so many failures in a row the service stops, for whoever runs it to start it again.
_WATCH_FAILURES = 10
_CHECKPOINTS, _SEEN, _WATCH = "checkpointer", "tokens seen", "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A running service."""

    store: Store
    replica: Replica
    planes: Planes
    follower: Follower
    tasks: Supervisor


@asynccontextmanager
async def open_app(settings: Settings, *, with_demo: bool = False) -> AsyncIterator[App]:
    """A service that answers on both planes until the block ends. Raises StartError."""
    model, seed = read_policy(settings)
    async with tracing(), open_store(settings) as store:
        if with_demo:
            await demo.load(store, read_file(policies_dir() / "demo.csv"))
        await install.record_model(store, model)
        if await store.may_rewrite_log():
            log.warning("the database role can rewrite the logs: give serve another, see 'migrate --service-role'")
        follower = Follower(store, model, most_enforcers=settings.max_warm_physicians)
        try:
            replica = await follower.start(max_age=settings.max_staleness_seconds)
        except PolicyError as fault:
            raise StartError(unreachable(settings, fault)) from fault
        if set(replica.snapshot.basis.rows) != set(seed):
            log.warning("seed file differs from the policy in force", file=str(settings.seed_file))
        key = read_key(settings.token_key_file or settings.data_dir / "token.key")
        carrier = carrier_for(
            settings.smtp_url.get_secret_value() if settings.smtp_url else None,
            settings.data_dir / "mail",
            ca_file=settings.smtp_ca_file,
        )
        postmark = Postmark(sender=settings.mail_from, link_base=settings.link_base)
        sender = Sender(store, key, carrier, postmark, _now)
        limits = LetterLimits(
            per_invitation=settings.letters_per_invitation,
            per_address=settings.letters_per_address,
            per_account=settings.letters_per_account,
            within=timedelta(hours=settings.letters_hours),
        )
        valid_for = timedelta(days=settings.invitation_days)
        prompts = Prompts(settings.max_prompts_per_hour)
        invitations = Invitations(model, key, prompts, valid_for=valid_for, limits=limits)
        addresses = AddressChanges(key, invitations, valid_for=valid_for, limits=limits)
        users = ManageUsersService(
            store, model, invitations, addresses, clock=_now, written=sender.wake, reaches=Reaches(replica)
        )
        signer = own_signer(settings)
        checkpointer = Checkpointer(
            store,
            signer,
            settings.checkpoint_file or str(settings.data_dir / "checkpoints.jsonl"),
            seconds=settings.checkpoint_seconds,
            clock=_now,
        )
        auditing = AuditService(
            store,
            model,
            Cursors(key.derived("page tokens")),
            clock=_now,
            verify=LogWalk(store, signer.verifier, checkpointer).verify,
            checkpoint=checkpointer.sign,
        )
        managing = {
            MANAGE_USERS: users,
            SEEDS: _seed_service(settings, store, replica, model),
            AUDIT: auditing,
            CALLERS: CallersService(store, model, clock=_now),
        }
        seen = Seen(store)
        or_lose = settings.decision_log_full is DecisionLogFull.ANSWER
        ready = Readiness()
        tasks, pages = Supervisor(), Cursors(key.derived("decision page tokens"))
        async with (
            showing_metrics(settings.metrics_address, ready),
            recording(store, settings.data_dir / "decisions", settings, tasks) as decisions,
            _kept_going(tasks) as keep,
            serving(
                settings,
                replica,
                DecisionService(replica, decisions, pages, or_lose=or_lose),
                managing,
                clock=_now,
                seen=seen.note,
            ) as planes,
        ):
            keep(FOLLOWING, partial(follower.run, replica))
            keep(SENDING, sender.run)
            keep(_CHECKPOINTS, checkpointer.run)
            keep(_SEEN, seen.run)
            if planes.certificates is not None:
                keep(RELOADING, planes.certificates.watch)
            watch = partial(say_readiness, replica, decisions, planes, tasks, or_lose, ready, store)
            watching = keep(_WATCH, watch, ends_process_after=_WATCH_FAILURES)
            log.info(
                "serving",
                decision_port=planes.decision_port,
                management_port=planes.management_port,
                token_ports=[planes.decision_token_port, planes.management_token_port],
                tls=settings.has_tls,
                revision=replica.snapshot.revision,
            )
            try:
                yield App(store=store, replica=replica, planes=planes, follower=follower, tasks=tasks)
            finally:
                # From here on nobody says that this process should be used; it follows until the last call is answered.
                ready.stop()
                await end_all([watching])


@asynccontextmanager
async def _kept_going(tasks: Supervisor) -> AsyncIterator[Callable[..., asyncio.Task[None]]]:
    """Tasks that are begun in the block, and ended with it; one that may end the process ends the block."""
    kept: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:

        def keep(task: str, work: Work, *, ends_process_after: int | None = None) -> asyncio.Task[None]:
            kept.append(group.create_task(tasks.keep(task, work, ends_process_after=ends_process_after)))
            return kept[-1]

        try:
            yield keep
        finally:
            await end_all(kept)


@asynccontextmanager
async def open_seeds(settings: Settings) -> AsyncIterator[SeedService]:
    """What changes seeds, without listening and without asking what callers may: for whoever holds the database.

    Raises StartError.
    """
    model, _ = read_policy(settings)
    async with open_store(settings, existing=True) as store:
        follower = Follower(store, model)
        try:
            replica = await follower.start(max_age=settings.max_staleness_seconds)
        except PolicyError as fault:
            raise StartError(unreachable(settings, fault)) from fault
        following = asyncio.create_task(Supervisor().keep(FOLLOWING, partial(follower.run, replica)))
        try:
            yield _seed_service(settings, store, replica, model, asks_rights=False)
        finally:
            await end_all([following])


def _seed_service(
    settings: Settings, store: Store, replica: Replica, model: Model, *, asks_rights: bool = True
) -> SeedService:
    methods = contract_methods()
    plans = SeedPlans(
        store, replica, model, most_removed=settings.seed_most_removed, methods=methods, asks_rights=asks_rights
    )
    return SeedService(store, model, plans, methods=methods)


def _now() -> datetime:
    return datetime.now(UTC)
