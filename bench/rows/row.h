/*
 * row - one line of a comparison: what moves which data how, and how to run it once.
 */
#ifndef BENCH_ROW_H
#define BENCH_ROW_H

#include "bench/lab/lab.h"
#include "bench/sample.h"

enum bench_kind {
    BENCH_MEMORY, /* from one hot buffer to nowhere */
    BENCH_FILE,   /* a file of `bytes` to a file, on tmpfs unless `directory` says otherwise */
};

/* Files go from left to right as memory does: the client in the left side uploads, or downloads
 * when reversed. Their time is from the start of the client's process to its end, handshake
 * included; socat does not wait for its peer, so there it lasts until the receiver has ended. The
 * source is random bytes in the page cache; a run counts only when the copy is the same. */
/*  protocol     kinds         what runs
 *  tcp          memory        volley bench run --tcp: plain sockets
 *               file          volley put --tcp --plain
 *  tls          memory        volley bench run --tls: TLS 1.3, AES-128-GCM, 16 KiB records
 *  udp-raw      memory        volley bench run --udp-raw: no reliability, the ceiling
 *  volley       memory, file  volley bench run --volley; volley put: encrypted
 *  volley-plain memory, file  the same without encryption
 *  volley-tcp   memory, file  volley bench run --volley-tcp; volley put --tcp: our links over TCP,
 * encrypted iperf3-tcp   memory        iperf3 iperf3-udp   memory        iperf3 -u scp rsync socat
 * file     the program of that name (rsync: its daemon)
 */
struct bench_row {
    char protocol[16];
    enum bench_kind kind;
    char cc[16];                /* TCP's or volley's; "": the default */
    char io[16];                /* volley, udp-raw: "gso", ...; "": auto */
    char suite[24], crypto[16]; /* of encrypted Volley: "aes-256-gcm", "openssl"; "": auto */
    uint64_t bytes;             /* to move; 0: run for duration_ns */
    uint64_t duration_ns;       /* memory only, without warm-up */
    uint64_t warmup_ns;         /* memory with a duration: left out at the beginning */
    uint64_t interval_ns;       /* 0: no intervals in the sample */
    unsigned parallel;          /* connections, at least 1 */
    bool reverse;               /* right sends */
    bool no_spin;            /* volley-plain, memory: both ends sleep at once when nothing comes */
    uint32_t ack_every_pkts; /* Volley over UDP, memory: of both ends; 0: they decide */
    uint64_t block_bytes;    /* of a write; 0: 128 KiB */
    uint32_t mss_bytes;      /* TCP_MAXSEG, or the datagram; 0: the default */
    uint64_t rate_bytes_per_s; /* 0: as fast as it goes */
    const char *directory;     /* of the files; NULL: tmpfs */
};

/* Whether the programs that the row needs are installed, and the kernel has its congestion control;
 * `why` says what is missing and how to get it. */
bool bench_row_is_available(const struct bench_row *row, char why[BENCH_WHY_BYTES]);
/* Runs it once over the lab and fills `out` (initialised by this call; the caller ends it). A row
 * that fails is a sample with an error, and nothing of it keeps running. Gives up after timeout_ns
 * (VLY_E_NO_ANSWER). Returns 0, also for a failed row, or VLY_E_CANCELLED when *stop became true
 * meanwhile. */
VLY_MUST_USE int bench_row_run(const struct bench_lab *lab, const struct bench_row *row,
                               uint64_t timeout_ns, const volatile bool *stop,
                               struct bench_sample *out);
/* Removes the files that runs share, which are kept from one run to the next. The end of the
 * process does it as well. */
void bench_row_cleanup(void);

#endif
