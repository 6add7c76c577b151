/*
 * environment - the machine a comparison was run on: what a reader needs to judge its figures.
 */
#include "bench/matrix/environment.h"

#include <volley/base.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define LINE_BYTES 512
#define ANSWER_MS 2000 /* for a program to tell its version */

extern char **environ;

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *value = json_string(text);

    (void)json_object_set_new(object, key, value != NULL ? value : json_string(""));
}

/* ---- files ---- */

static void trim(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    for (char *c = text; *c != '\0'; c++)
        if (isspace((unsigned char)*c))
            *c = ' ';
}

/* The first line of a file; false when there is none. */
static bool line_of(const char *path, char out[LINE_BYTES])
{
    FILE *f = fopen(path, "re");
    bool got = f != NULL && fgets(out, LINE_BYTES, f) != NULL;

    if (f != NULL)
        (void)fclose(f);
    if (got)
        trim(out);
    else
        out[0] = '\0';
    return got;
}

/* The value of "KEY : value" in a file. */
static void field_of(const char *path, const char *key, char out[LINE_BYTES])
{
    FILE *f = fopen(path, "re");
    char line[LINE_BYTES];

    out[0] = '\0';
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || colon == NULL)
            continue;
        trim(colon);
        (void)snprintf(out, LINE_BYTES, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (f != NULL)
        (void)fclose(f);
}

/* ---- versions ---- */

/* Reads what comes until the end or the time is over. */
static size_t read_answer(int fd, char *out, size_t cap)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    while (len + 1 < cap) {
        ssize_t got;
        int ready = poll(&p, 1, ANSWER_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        got = read(fd, out + len, cap - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    out[len] = '\0';
    return len;
}

/* What a program prints; empty when it is not installed. */
static void output_of(char *const argv[], char *out, size_t cap)
{
    posix_spawn_file_actions_t actions;
    int fds[2], err;
    pid_t pid;

    out[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0)
        return;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    if (err == 0) {
        (void)read_answer(fds[0], out, cap);
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    (void)close(fds[0]);
}

static void set_version(json_t *versions, const char *name, const char *flag, const char *before)
{
    char program[16], option[16], text[4 * LINE_BYTES];
    char *argv[] = {program, option, NULL};
    char *at = text;

    (void)snprintf(program, sizeof(program), "%s", name);
    (void)snprintf(option, sizeof(option), "%s", flag);
    output_of(argv, text, sizeof(text));
    if (before != NULL) /* the line that has the version, in words of many */
        at = strstr(text, before);
    if (at == NULL || *at == '\0')
        return;
    at[strcspn(at, "\r\n")] = '\0';
    trim(at);
    set_text(versions, name, at);
}

static json_t *versions_new(void)
{
    json_t *versions = json_object();

    set_text(versions, "volley", VLY_VERSION);
    set_text(versions, "libuv", uv_version_string());
    set_text(versions, "openssl", OpenSSL_version(OPENSSL_VERSION));
    set_version(versions, "iperf3", "--version", NULL);
    set_version(versions, "rsync", "--version", NULL);
    set_version(versions, "ssh", "-V", NULL);
    set_version(versions, "socat", "-V", "socat version");
    return versions;
}

/* ---- kernel ---- */

static json_t *sysctls_new(void)
{
    static const char *const names[] = {
        "net.core.rmem_max",
        "net.core.wmem_max",
        "net.core.rmem_default",
        "net.core.wmem_default",
        "net.core.default_qdisc",
        "net.core.netdev_max_backlog",
        "net.core.netdev_budget",
        "net.ipv4.tcp_congestion_control",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_mtu_probing",
        "net.ipv4.tcp_notsent_lowat",
        "net.ipv4.tcp_ecn",
        "net.ipv4.tcp_sack",
        "net.ipv4.tcp_timestamps",
        "net.ipv4.tcp_window_scaling",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_no_metrics_save",
        "net.ipv4.udp_mem",
    };
    json_t *sysctls = json_object();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128] = "/proc/sys/", value[LINE_BYTES];
        size_t at = strlen(path);
        (void)snprintf(path + at, sizeof(path) - at, "%s", names[i]);
        for (char *c = path + at; *c != '\0'; c++)
            *c = *c == '.' ? '/' : *c;
        if (line_of(path, value))
            set_text(sysctls, names[i], value);
    }
    return sysctls;
}

static json_t *controls_new(void)
{
    char line[LINE_BYTES], *rest = line;
    json_t *controls = json_array();

    (void)line_of("/proc/sys/net/ipv4/tcp_available_congestion_control", line);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word != '\0')
            (void)json_array_append_new(controls, json_string(word));
    return controls;
}

static json_t *offload(int fd, const char *interface, uint32_t command)
{
    struct ethtool_value value = {.cmd = command};
    struct ifreq request = {.ifr_data = (char *)&value};

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    return ioctl(fd, SIOCETHTOOL, &request) == 0 ? json_boolean(value.data != 0) : json_null();
}

static json_t *interface_new(const char *interface)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    json_t *o = json_object();

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    (void)json_object_set_new(o, "mtu_bytes",
                              ioctl(fd, SIOCGIFMTU, &request) == 0 ? json_integer(request.ifr_mtu)
                                                                   : json_null());
    (void)json_object_set_new(o, "tso", offload(fd, interface, ETHTOOL_GTSO));
    (void)json_object_set_new(o, "gso", offload(fd, interface, ETHTOOL_GGSO));
    (void)json_object_set_new(o, "gro", offload(fd, interface, ETHTOOL_GGRO));
    if (fd >= 0)
        (void)close(fd);
    return o;
}

json_t *bench_environment_new(void)
{
    json_t *env = json_object(), *offloads = json_object();
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    char text[LINE_BYTES];
    struct utsname kernel;
    double load;

    if (uname(&kernel) != 0)
        kernel = (struct utsname){0};
    set_text(env, "kernel", kernel.release);
    set_text(env, "machine", kernel.machine);
    field_of("/proc/cpuinfo", "model name", text);
    set_text(env, "cpu", text);
    (void)json_object_set_new(env, "cores", json_integer(cores > 0 ? cores : 1));
    (void)json_object_set_new(
        env, "memory_bytes",
        pages > 0 && page_bytes > 0 ? json_integer((json_int_t)pages * page_bytes) : json_null());
    (void)json_object_set_new(env, "load_average",
                              getloadavg(&load, 1) == 1 ? json_real(load) : json_null());
    (void)json_object_set_new(env, "tcp_congestion_controls", controls_new());
    (void)line_of("/proc/sys/net/ipv4/tcp_congestion_control", text);
    set_text(env, "tcp_congestion_control_default", text);
    (void)json_object_set_new(env, "sysctls", sysctls_new());
    (void)json_object_set_new(offloads, "lo", interface_new("lo"));
    (void)json_object_set_new(env, "offloads", offloads);
    (void)json_object_set_new(env, "versions", versions_new());
    set_text(env, "commit", VLY_GIT);
    return env;
}
