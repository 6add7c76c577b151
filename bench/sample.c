#include "bench/sample.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void bench_sample_init(struct bench_sample *s)
{
    *s = (struct bench_sample){.err = 0};
#define X(name, text) s->name = BENCH_UNKNOWN;
    BENCH_FIGURES(X)
#undef X
}

void bench_sample_fini(struct bench_sample *s)
{
    json_decref(s->intervals);
    s->intervals = NULL;
}

int bench_sample_fail(struct bench_sample *s, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->error, sizeof(s->error), format, args);
    va_end(args);
    s->err = err;
    return err;
}

double bench_sample_goodput(const struct bench_sample *s)
{
    if (s->err != 0 || s->bytes == BENCH_UNKNOWN || s->duration_ns == BENCH_UNKNOWN ||
        s->duration_ns == 0)
        return NAN;
    return 8e9 * (double)s->bytes / (double)s->duration_ns;
}

double bench_sample_cpu_per_gb(const struct bench_sample *s)
{
    if (s->err != 0 || s->cpu_sender_ns == BENCH_UNKNOWN || s->cpu_receiver_ns == BENCH_UNKNOWN ||
        s->total_bytes == BENCH_UNKNOWN || s->total_bytes == 0)
        return NAN;
    return ((double)s->cpu_sender_ns + (double)s->cpu_receiver_ns) / (double)s->total_bytes;
}

double bench_sample_steal(const struct bench_sample *s)
{
    if (s->cpu_steal_ns == BENCH_UNKNOWN || s->cpu_all_ns == BENCH_UNKNOWN || s->cpu_all_ns == 0)
        return NAN;
    return (double)s->cpu_steal_ns / (double)s->cpu_all_ns;
}

static json_t *figure(uint64_t value)
{
    return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

json_t *bench_sample_to_json(const struct bench_sample *s)
{
    double goodput = bench_sample_goodput(s);
    json_t *o = json_object();
    int bad = o == NULL;

#define X(name, text) bad |= json_object_set_new(o, #name, figure(s->name));
    BENCH_FIGURES(X)
#undef X
    bad |= json_object_set_new(o, "goodput_bits_per_s",
                               isnan(goodput) ? json_null() : json_real(goodput));
    bad |= json_object_set_new(o, "cc", json_string(s->cc));
    bad |= json_object_set_new(o, "io", json_string(s->io));
    bad |= json_object_set_new(o, "suite", json_string(s->suite));
    bad |= json_object_set_new(o, "crypto", json_string(s->crypto));
    if (s->intervals != NULL)
        bad |= json_object_set(o, "intervals", s->intervals);
    else
        bad |= json_object_set_new(o, "intervals", json_array());
    bad |= json_object_set_new(
        o, "error", json_pack("{s:s, s:s}", "code", vly_err_name(s->err), "message", s->error));
    if (bad != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static bool text_of(const json_t *object, const char *key, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL || strlen(text) >= cap)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

int bench_err_of(const char *code)
{
#define X(name, value, text)      \
    if (strcmp(code, #name) == 0) \
        return VLY_E_##name;
    VLY_ERRORS(X)
#undef X
    return VLY_E_FAILED;
}

int bench_sample_from_json(struct bench_sample *s, const json_t *object)
{
    const json_t *error = json_object_get(object, "error");
    json_t *intervals = json_object_get(object, "intervals");
    const char *code = json_string_value(json_object_get(error, "code"));

    if (code == NULL || !json_is_array(intervals) ||
        !text_of(error, "message", s->error, sizeof(s->error)) ||
        !text_of(object, "cc", s->cc, sizeof(s->cc)) ||
        !text_of(object, "io", s->io, sizeof(s->io)))
        return VLY_E_MALFORMED;
    /* Results that were made before anything was encrypted have neither. */
    (void)text_of(object, "suite", s->suite, sizeof(s->suite));
    (void)text_of(object, "crypto", s->crypto, sizeof(s->crypto));
    s->err = strcmp(code, "OK") == 0 ? 0 : bench_err_of(code);
#define X(name, text)                                                 \
    {                                                                 \
        const json_t *value = json_object_get(object, #name);         \
        if (json_is_integer(value) && json_integer_value(value) >= 0) \
            s->name = (uint64_t)json_integer_value(value);            \
        else if (value != NULL && !json_is_null(value))               \
            return VLY_E_MALFORMED;                                   \
    }
    BENCH_FIGURES(X)
#undef X
    if (json_array_size(intervals) > 0) {
        json_decref(s->intervals);
        s->intervals = json_deep_copy(intervals);
        if (s->intervals == NULL)
            return VLY_E_NOMEM;
    }
    return 0;
}
