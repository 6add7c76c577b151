/*
 * Packet numbers and offsets where their encodings change and where they end (SPEC 1, 9).
 * Link of 100 Mbit/s and 20 ms round trip, 1 % loss, so that both are repeated and acknowledged in
 * ranges.
 */
#include "support/scenario.h"

#include <inttypes.h>

#define LINK .rate_bytes_per_s = 100 * SCENARIO_MBIT, .delay_ns = VLY_MS(10), .loss = 0.01
#define BYTES 1000000u

/* Numbers make no difference: the run from another first number is, packet for packet, the run from
 * 0; only longer varints may move a byte here and there. */
static void test_first_packet_numbers(void **state)
{
    static const uint64_t first[] = {
        60,
        (1u << 14) - 100,
        (1u << 30) - 100,
        (UINT64_C(1) << 32) - 100,
        (UINT64_C(1) << 61) + 12345,
        VLY_VARINT_MAX - 20000, /* 700 packets, and what is skipped, still fit */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        struct scenario s;

        print_message("  %" PRIu64 "\n", first[i]);
        scenario_init(&s, 1);
        scenario_conn(&s, &(struct vly_conn_config){.first_pn = first[i]});
        scenario_link(&s, &(struct vly_link_spec){LINK});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
        scenario_run(&s, VLY_S(10));
        assert_in_range(s.sender.retransmits, 1, 20); /* 7, test_loss.c */
        assert_int_equal(s.sender.spurious_losses, 0);
        assert_true(s.elapsed_ns < VLY_S(2));
        scenario_fini(&s);
    }
}

/* The numbers run out: no number is used twice (RULE 10, checked by the world), and both sides
 * learn that the connection is over, with an error, at once. */
static void test_packet_numbers_run_out(void **state)
{
    static const uint64_t left[] = {1, 2, 10, 100, 600};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        struct scenario s;

        print_message("  %" PRIu64 " left\n", left[i]);
        scenario_init(&s, 1);
        scenario_conn(&s, &(struct vly_conn_config){.first_pn = VLY_VARINT_MAX - left[i]});
        scenario_link(&s, &(struct vly_link_spec){LINK});
        scenario_transfer(&s, &(struct vly_bulk_spec){.bytes = BYTES});
        scenario_run_any(&s, VLY_S(60));
        assert_false(scenario_is_intact(&s));
        assert_true(s.bulk.is_over);
        assert_int_not_equal(s.bulk.side[VLY_CLIENT].closed.err, 0);
        scenario_fini(&s);
    }
}

/* Offsets around 2^32 and up to the very last one, in both orders. */
static void test_first_offsets(void **state)
{
    static const uint64_t first[] = {
        (1u << 14) - 5,
        (1u << 30) - BYTES / 2,
        (UINT64_C(1) << 32) - BYTES / 2,
        (UINT64_C(1) << 61) + 7,
        VLY_VARINT_MAX - 4 * BYTES,
        VLY_VARINT_MAX - BYTES, /* the stream ends at 2^62 - 1 */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        for (enum vly_order order = VLY_IN_ORDER; order <= VLY_ANY_ORDER; order++) {
            const struct vly_bulk_spec spec = {.bytes = BYTES,
                                               .way = VLY_BULK_BOTH_WAYS,
                                               .order = order,
                                               .first_offset = first[i]};
            struct scenario s;

            print_message("  %" PRIu64 "\n", first[i]);
            scenario_init(&s, 1);
            scenario_conn(&s, &(struct vly_conn_config){.first_offset = first[i]});
            scenario_link(&s, &(struct vly_link_spec){LINK});
            scenario_transfer(&s, &spec);
            scenario_run(&s, VLY_S(10));
            assert_in_range(s.sender.retransmits, 1, 20);
            assert_int_equal(s.sender.spurious_losses, 0);
            assert_true(s.elapsed_ns < VLY_S(2));
            scenario_fini(&s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_packet_numbers),
        cmocka_unit_test(test_packet_numbers_run_out),
        cmocka_unit_test(test_first_offsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
