/*
 * The control stream of the file protocol: arbitrary bytes, arriving in pieces of the size that the
 * first one says. Whatever decodes encodes to something that decodes to the same; every name can be
 * checked and printed.
 */
#include "fuzz.h"

#include "file/ctl.h"
#include "file/path.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool same(struct vly_span a, struct vly_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void exercise_text(struct vly_span text)
{
    struct vly_shown shown = vly_shown_span(text);

    if (text.len > 0 && vly_name_check(text) == 0)
        require(vly_path_check(text) == 0);
    for (const char *c = shown.text; *c != '\0'; c++)
        require((uint8_t)*c >= 0x20 && *c != 0x7f);
}

static int on_message(void *ctx, const struct vly_msg *m)
{
    static uint8_t buf[VLY_MSG_MAX];
    struct vly_msg again;
    size_t len, used;

    (void)ctx;
    require(vly_msg_encode(m, buf, sizeof buf, &len) == 0);
    require(vly_msg_decode(&again, (struct vly_span){.data = buf, .len = len}, &used) == 0);
    require(used == len && again.type == m->type && again.request == m->request &&
            again.size == m->size && again.code == m->code && again.count == m->count);
    require(same(again.path, m->path) && same(again.text, m->text) &&
            same(again.hashes, m->hashes));
    exercise_text(m->path);
    exercise_text(m->text);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;
    struct vly_ctl ctl;
    int err = 0;

    vly_ctl_init(&ctl, NULL);
    for (size_t at = 1; at < size && err == 0; at += piece) {
        size_t len = size - at < piece ? size - at : piece;

        err = vly_ctl_receive(&ctl, (struct vly_span){.data = data + at, .len = len}, on_message,
                              NULL);
    }
    require(err == 0 || err == VLY_E_MALFORMED || err == VLY_E_LIMIT);
    vly_ctl_fini(&ctl);
    return 0;
}
