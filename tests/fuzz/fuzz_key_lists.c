/*
 * known_hosts and authorized_keys of arbitrary bytes: each is refused with one printable line, or
 * what it gives is whole.
 */
#include "fuzz.h"

#include "cli/authorized.h"
#include "cli/known_hosts.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_refusal(int err, const struct vly_fault *why)
{
    require(err == VLY_E_MALFORMED && why->err == err && strncmp(why->text, "list:", 5) == 0);
    for (const char *c = why->text; *c != '\0'; c++)
        require((uint8_t)*c >= 0x20 && *c != 0x7f);
}

static void read_authorized(struct vly_lines *l)
{
    struct vly_authorized a;
    struct vly_fault why;
    int err = vly_authorized_parse(&a, l, "/srv", &why);

    if (err != 0)
        check_refusal(err, &why);
    require(err == 0 || (a.n == 0 && a.grants == NULL));
    for (size_t i = 0; i < a.n; i++) {
        require(a.grants[i].rights != 0 && a.grants[i].rights <= 3);
        require(a.grants[i].root == NULL || a.grants[i].root[0] == '/');
    }
    vly_authorized_free(&a);
}

static void read_known_hosts(struct vly_lines *l)
{
    struct vly_known_host host = {.line = 0};
    struct vly_fault why;
    int err = vly_known_hosts_find_in(l, "host", &host, &why);

    if (err != 0 && err != VLY_E_NOT_FOUND)
        check_refusal(err, &why);
    require(err != 0 || (host.line >= 1 && host.line <= l->number));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void (*const readers[])(struct vly_lines *) = {read_authorized, read_known_hosts};

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        struct vly_lines l;
        struct vly_fault why;

        if (vly_lines_copy(&l, "list", (struct vly_span){data, size}, &why) != 0)
            continue;
        readers[i](&l);
        vly_lines_close(&l);
    }
    return 0;
}
