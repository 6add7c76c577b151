/* The body of a DATA packet: arbitrary bytes as frames (support/codec.h says what must hold). */
#include "fuzz.h"

#include "support/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)codec_frames_exercise((struct vly_span){data, size});
    return 0;
}
