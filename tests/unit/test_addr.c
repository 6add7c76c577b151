#include "net/addr.h"
#include "support/support.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static union vly_sockaddr v4(const char *host, uint16_t port)
{
    union vly_sockaddr sa = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

    assert_int_equal(inet_pton(AF_INET, host, &sa.v4.sin_addr), 1);
    return sa;
}

static union vly_sockaddr v6(const char *host, uint16_t port, uint32_t scope)
{
    union vly_sockaddr sa = {
        .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope}};

    assert_int_equal(inet_pton(AF_INET6, host, &sa.v6.sin6_addr), 1);
    return sa;
}

static void test_addr_text_names_host_and_port(void **state)
{
    char loopback[VLY_ADDR_TEXT_MAX];
    struct {
        union vly_sockaddr sa;
        const char *text;
    } cases[] = {
        {v4("127.0.0.1", 7711), "127.0.0.1:7711"},
        {v4("255.255.255.255", 65535), "255.255.255.255:65535"},
        {v6("::1", 7711, 0), "[::1]:7711"},
        {v6("2001:db8::2", 1, 0), "[2001:db8::2]:1"},
        {v6("fe80::1", 7711, 1), loopback},
        {v6("fe80::1", 7711, 4294967295), "[fe80::1%4294967295]:7711"}, /* no such interface */
    };
    char name[IF_NAMESIZE];

    (void)state;
    assert_non_null(if_indextoname(1, name));
    snprintf(loopback, sizeof(loopback), "[fe80::1%%%s]:7711", name);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_addr a;
        char text[VLY_ADDR_TEXT_MAX];

        assert_int_equal(vly_addr_encode(&a, &cases[i].sa.any), 0);
        vly_addr_text(&a, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_addr_decodes_to_what_was_encoded(void **state)
{
    const union vly_sockaddr in[] = {v4("192.0.2.1", 513), v6("2001:db8::1:2", 513, 7)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        union vly_sockaddr out;
        struct vly_addr a;
        socklen_t len;

        assert_int_equal(vly_addr_encode(&a, &in[i].any), 0);
        assert_true(a.len <= VLY_ADDR_MAX);
        len = vly_addr_decode(&out, &a);
        assert_int_equal(len, i == 0 ? sizeof(out.v4) : sizeof(out.v6));
        assert_memory_equal(&out, &in[i], len);
    }
}

/* What tells no two peers apart must not make their bytes differ. */
static void test_addr_leaves_padding_and_flow_label_out(void **state)
{
    union vly_sockaddr clean[] = {v4("192.0.2.1", 9), v6("2001:db8::1", 9, 0)};
    union vly_sockaddr dirty[] = {clean[0], clean[1]};

    (void)state;
    memset(dirty[0].v4.sin_zero, 0xff, sizeof(dirty[0].v4.sin_zero));
    dirty[1].v6.sin6_flowinfo = 0xffffffff;
    for (size_t i = 0; i < ARRAY_LEN(clean); i++) {
        struct vly_addr a;
        struct vly_addr b;

        assert_int_equal(vly_addr_encode(&a, &clean[i].any), 0);
        memset(&b, 0xff, sizeof(b));
        assert_int_equal(vly_addr_encode(&b, &dirty[i].any), 0);
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

static void test_addr_differs_by_port_host_and_scope(void **state)
{
    const union vly_sockaddr in[] = {
        v4("192.0.2.1", 9),      v4("192.0.2.1", 2304),    v4("192.0.2.2", 9),
        v6("2001:db8::1", 9, 0), v6("2001:db8::1", 10, 0), v6("2001:db8::2", 9, 0),
        v6("2001:db8::1", 9, 1),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        for (size_t k = 0; k < i; k++) {
            struct vly_addr a;
            struct vly_addr b;

            assert_int_equal(vly_addr_encode(&a, &in[i].any), 0);
            assert_int_equal(vly_addr_encode(&b, &in[k].any), 0);
            assert_memory_not_equal(&a, &b, sizeof(a));
        }
}

static void test_addr_refuses_other_families(void **state)
{
    const struct sockaddr sa = {.sa_family = AF_UNIX};
    struct vly_addr a;

    (void)state;
    assert_int_equal(vly_addr_encode(&a, &sa), VLY_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_text_names_host_and_port),
        cmocka_unit_test(test_addr_decodes_to_what_was_encoded),
        cmocka_unit_test(test_addr_leaves_padding_and_flow_label_out),
        cmocka_unit_test(test_addr_differs_by_port_host_and_scope),
        cmocka_unit_test(test_addr_refuses_other_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
