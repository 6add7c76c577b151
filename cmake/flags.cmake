# Compiler flags of every target. The presets set these options.
option(VLY_WERROR "Treat warnings as errors" OFF)
option(VLY_COVERAGE "Count the lines and branches of proto/ that the tests reach" OFF)
option(VLY_FUZZ "Build the fuzzers with libFuzzer, and no other test (clang)" OFF)
option(VLY_LTO "Optimise the library across files when the programs are linked" OFF)
set(VLY_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

# Asserts guard what the local programmer controls; they stay on in every build.
foreach(config RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${config} "${CMAKE_C_FLAGS_${config}}")
endforeach()

# VLY_CHECKS: the data structures check themselves (vly_*_check) after each operation.
add_compile_definitions($<$<CONFIG:Debug>:VLY_CHECKS>)

set(VLY_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -Wcast-align -Wwrite-strings)
add_compile_options(${VLY_WARNINGS} -fno-omit-frame-pointer)
if(VLY_WERROR)
    add_compile_options(-Werror)
endif()
if(VLY_SANITIZE)
    add_compile_options(-fsanitize=${VLY_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${VLY_SANITIZE})
endif()
if(VLY_COVERAGE)
    add_link_options(--coverage)
endif()
if(VLY_LTO)
    # Else the linker does it wherever it can, and each test takes ten seconds. Programs turn it on.
    # (-flto behind -fno-lto does not bring it back: gcc leaves the linker's plugin out.)
    add_link_options($<$<NOT:$<BOOL:$<TARGET_PROPERTY:VLY_IS_PROGRAM>>>:-fno-lto>)
endif()
