"""The scenarios, by name, with the goals that ringway has in them."""

import capacity
from scenarios import (
    STALLED_READERS, AfterSilence, AtCapacity, BesideRefused, DayOne, FirstAnswer, FixedRate, Goal, Handshakes, Idle, Instructions, Requests, StartUp, Syscalls)

CLOSE = "Connection: close"
# The cookie that names the server in both configurations of HTTP mode.
COOKIE = "Cookie: theme=dark; SRV=w"
HAPROXY = ("haproxy",)
EPOLL = "ringway-epoll"
SPLICING = ("haproxy-splice", "haproxy-forced")
WITH_COOKIE = ("haproxy-http",)
FLOOR = ("relay-floor",)
RIVALS = ("haproxy", "haproxy-splice", "haproxy-forced", "nginx-stream")
READ_TLS = ("ringway-tls", "ringway-epoll-tls", "haproxy-tls")
BOTH = ("ringway", "haproxy")
DENYING = ("ringway-deny", "ringway-epoll-deny", "haproxy-deny")

SMALL = Requests("small", "100 B answers, 64 kept-alive connections", "/100", 64,
    goals=(Goal(0.92, HAPROXY), Goal(1.05, FLOOR), Goal(0.95, HAPROXY, EPOLL)))
SMALL_1000 = Requests("small-1000", "100 B answers, 1,000 kept-alive connections", "/100", 1000)
ANSWERS_16K = Requests("16k", "16 KB answers, 64 kept-alive connections", "/16k", 64, goals=(Goal(0.65, RIVALS),))
ANSWERS_1M = Requests("1m", "1 MB answers, 16 kept-alive connections", "/1m", 16,
    goals=(Goal(0.65, SPLICING), Goal(0.30, ("haproxy-splice",), EPOLL)))
CHURN = Requests("churn", "100 B answers, a connection for each request, 64 at a time", "/100", 64, headers=[CLOSE],
    goals=(Goal(0.88, RIVALS), Goal(0.90, HAPROXY, EPOLL)))
HTTP_SMALL = Requests("http-small", "HTTP mode, sticky cookie, 100 B answers, 64 kept-alive connections", "/100", 64,
    headers=[COOKIE], http=True, goals=(Goal(0.68, WITH_COOKIE), Goal(0.75, WITH_COOKIE, EPOLL)))
HTTP_CHURN = Requests("http-churn", "HTTP mode, sticky cookie, a connection for each request, 64 at a time", "/100", 64,
    headers=[COOKIE, CLOSE], http=True)

EVERYWHERE = ("ringway-all", "ringway-epoll-all", "haproxy-all", "nginx-stream-all")
# With both ways of limiting the balancer: the goals of ringway, and those on epoll to HAProxy.
AT_CAPACITY = [
    AtCapacity(way, load_bound, (Goal(goal, rivals), Goal(*epoll, EPOLL)))
    for way in capacity.WAYS
    for load_bound, goal, rivals, epoll in [
        (SMALL, 0.70, RIVALS, (0.95, HAPROXY)),
        (SMALL_1000, 0.65, RIVALS, (1.0, HAPROXY)),
        (ANSWERS_16K, 0.62, RIVALS, (1.0, HAPROXY)),
        (ANSWERS_1M, 0.60, RIVALS, (0.30, ("haproxy-splice",))),
        (CHURN, 0.62, RIVALS, (0.90, HAPROXY)),
        (HTTP_SMALL, 0.42, WITH_COOKIE, (0.75, WITH_COOKIE)),
        (HTTP_CHURN, 0.58, WITH_COOKIE, (1.0, WITH_COOKIE)),
    ]
]

SCENARIOS = {scenario.name: scenario for scenario in [
    *AT_CAPACITY,
    *(DayOne(f"day-one{ending}", f"{about}, all on the same CPUs", "/100", connections, headers=headers, only=EVERYWHERE)
      for ending, about, connections, headers in [
          ("", "100 B answers, 100 kept-alive connections", 100, []),
          ("-8", "100 B answers, 8 kept-alive connections", 8, []),
          ("-churn", "100 B answers, a connection for each request, 64 at a time", 64, [CLOSE])]),
    Requests("small-1", "100 B answers, 1 kept-alive connection", "/100", 1),
    SMALL,
    SMALL_1000,
    Requests("1k", "1 KB answers, 64 kept-alive connections", "/1k", 64),
    Requests("4k", "4 KB answers, 64 kept-alive connections", "/4k", 64),
    ANSWERS_16K,
    Requests("64k", "64 KB answers, 64 kept-alive connections", "/64k", 64),
    Requests("256k", "256 KB answers, 32 kept-alive connections", "/256k", 32),
    ANSWERS_1M,
    Requests("16m", "16 MB answers, 8 kept-alive connections", "/16m", 8, goals=(Goal(0.65, SPLICING),)),
    Requests("upload-1m", "1 MB uploads, 16 kept-alive connections", "/upload", 16, script="upload.lua"),
    CHURN,
    HTTP_SMALL,
    HTTP_CHURN,
    Handshakes("tls", "a connection with a handshake of TLS for each request, routed by name or relayed, 64 at a time", "/100",
               64, headers=[CLOSE], only=("ringway", "ringway-epoll", "haproxy", *READ_TLS),
               goals=(Goal(1.06, ("ringway",), "ringway-tls"), Goal(0.90, ("haproxy-tls",), "ringway-tls"))),
    FixedRate("rate", "p99 of 100 B answers at a fixed rate, 64 kept-alive connections", "/100", 64,
              goals=(Goal(1.0, RIVALS),)),
    FixedRate("http-rate", "p99 of HTTP mode with a sticky cookie at a fixed rate, 64 kept-alive connections", "/100",
              64, headers=[COOKIE], http=True, goals=(Goal(1.0, WITH_COOKIE),)),
    AfterSilence("silence", "p50 of 100 B answers, each after a second of silence", "/100", 1, rate=1,
                 goals=(Goal(1.0, RIVALS),)),
    FixedRate("calm", "p99 of 100 B answers at 5,000 requests a second, 32 kept-alive connections", "/100", 32,
              rate=5000, only=DENYING),
    BesideRefused("refused", "the same, while 20,000 connections a second are refused", "/100", 32, rate=5000,
                  refused=20_000, only=DENYING),
    Requests("stalled", f"as `small`, beside {STALLED_READERS} clients that asked for 16 MB and read nothing", "/100",
             64, stalled=STALLED_READERS, only=(*BOTH, "haproxy-splice", "nginx-stream")),
    FirstAnswer("first-answer", "p50 of the first answer of a server that writes head and body apart",
                only=(*BOTH, "ringway-http", "haproxy-http", "nginx-stream", "direct")),
    Idle("idle", "memory of an idle session, 8,000 open", goals=(Goal(0.15, RIVALS),)),
    StartUp("start-up", "from the start to the first answer"),
    *(Requests(f"open-{count}", f"as `small` with 10 connections, beside {count - 10:,} idle sessions", "/100", 10,
               held=count - 10, only=BOTH) for count in (10, 100, 1000, 8000)),
    *(Requests(f"open-{count}-churn", f"as `churn` with 10 connections, beside {count - 10:,} idle sessions", "/100",
               10, held=count - 10, headers=[CLOSE], only=BOTH) for count in (10, 100, 1000, 8000)),
    Requests("workers", "as `small` with 128 connections, one worker against two", "/100", 128, two_cpus=True,
             only=(*BOTH, "ringway-2", "haproxy-2")),
    Syscalls("calls-small", "calls into the kernel for each request of `small`", "/100", 64),
    Syscalls("calls-16k", "calls into the kernel for each request of `16k`", "/16k", 64),
    Syscalls("calls-1m", "calls into the kernel for each request of `1m`", "/1m", 16),
    Syscalls("calls-churn", "calls into the kernel for each request, and so connection, of `churn`", "/100", 64,
             headers=[CLOSE]),
    Syscalls("calls-http", "calls into the kernel for each request of `http-small`", "/100", 64, headers=[COOKIE],
             http=True),
    Instructions("instructions", "instructions of the logic alone, by open sessions (callgrind)"),
]}

# What `--quick` measures.
QUICK = ("capacity-small", "capacity-churn", "capacity-http-small")
