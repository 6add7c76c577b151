# One ctest per file of tests/, found by glob; the label is the folder.
#   tests/unit/test_*.c  tests/prop/prop_*.c  tests/scenario/test_*.c   a cmocka binary each
#   tests/integration/test_*.py, test_*.sh      run with VOLLEY_BIN; exit 77 skips
#   tests/adversary/test_*.py                   likewise
#   tests/fuzz/fuzz_X.c                         run over tests/fuzz/corpus/X
#   tests/static/check_X.py                     registered by hand below
set(VLY_PYTHON /usr/bin/python3)
set(VLY_TEST_ENVIRONMENT
    VOLLEY_SRC=${PROJECT_SOURCE_DIR}
    VOLLEY_BIN=${PROJECT_BINARY_DIR}/bin/volley
    VOLLEY_BENCH_BIN=${PROJECT_BINARY_DIR}/bin/volley-bench
    PYTHONDONTWRITEBYTECODE=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=halt_on_error=1)

function(volley_test name label)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES
        LABELS ${label} TIMEOUT 300 ENVIRONMENT "${VLY_TEST_ENVIRONMENT}")
endfunction()

# Target and test names are LABEL_NAME: the same module may have a unit and a scenario.
function(volley_test_name out label source)
    cmake_path(GET source STEM name)
    # The whole name is matched: an anchor alone would match again behind each match.
    string(REGEX REPLACE "^[a-z]+_(.*)$" "${label}_\\1" name ${name})
    set(${out} ${name} PARENT_SCOPE)
endfunction()

function(volley_cmocka_tests label prefix)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${label}/${prefix}_*.c)
    foreach(source ${sources})
        volley_test_name(name ${label} ${source})
        add_executable(${name} ${source})
        set_target_properties(${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        target_link_libraries(${name} PRIVATE volley_test_support)
        volley_test(${name} ${label} ${name})
    endforeach()
endfunction()

# The test program `target` again, where every connection that says nothing else is sealed.
function(volley_sealed_test target)
    string(REGEX REPLACE "_.*" "" label ${target})
    volley_test(${target}_sealed ${label} ${target})
    set_property(TEST ${target}_sealed APPEND PROPERTY ENVIRONMENT VLY_METHOD=keys)
endfunction()

function(volley_script_tests label interpreter pattern)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${label}/${pattern})
    foreach(source ${sources})
        volley_test_name(name ${label} ${source})
        volley_test(${name} ${label} ${interpreter} ${source})
        # They wait more than they compute: begun first, they leave the processors to the others.
        set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 COST 100)
    endforeach()
endfunction()

function(volley_fuzzers)
    add_custom_target(fuzzers)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
    foreach(source ${sources})
        volley_test_name(name fuzz ${source})
        add_executable(${name} ${source})
        add_dependencies(fuzzers ${name})
        set_target_properties(${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
        target_link_libraries(${name} PRIVATE volley_test_support)
        if(VLY_FUZZ)
            target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        else()
            target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/standalone_main.c)
            string(REGEX REPLACE "^fuzz_" "" corpus ${name})
            volley_test(${name} fuzz ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${corpus})
        endif()
    endforeach()
endfunction()

function(volley_check name)
    volley_test(static_${name} static
        ${VLY_PYTHON} ${PROJECT_SOURCE_DIR}/tests/static/check_${name}.py ${ARGN})
    set_tests_properties(static_${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1)
volley_library(volley_test_support tests/support/*.c)
target_include_directories(volley_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(volley_test_support PUBLIC volley_bench PkgConfig::CMOCKA)

volley_fuzzers()
if(VLY_FUZZ)
    return()
endif()

volley_cmocka_tests(unit test)
volley_cmocka_tests(prop prop)
volley_cmocka_tests(scenario test)
# The same once more over sealed connections (tests/support/sealed.h).
foreach(name IN ITEMS conn_close conn_credit conn_lent conn_runs conn_stream control)
    volley_sealed_test(unit_${name})
endforeach()
foreach(name IN ITEMS damage handshake hostile_ack hostile_flood hostile_peer idle loss memory numbers
        outage paths reorder sack storm tail windows)
    volley_sealed_test(scenario_${name})
endforeach()
volley_script_tests(integration ${VLY_PYTHON} test_*.py)
volley_script_tests(integration bash test_*.sh)
volley_script_tests(adversary ${VLY_PYTHON} test_*.py)
# Most of their time is Python's, tshark's or the browser's, or many bytes through code that others
# reach: once, without the sanitizers, is enough.
set_property(TEST scenario_throughput scenario_loss_sealed scenario_outage_sealed
    scenario_reorder_sealed integration_independent_peer integration_rebind integration_dissector
    integration_bench_schema integration_bench_matrix integration_bench_report
    APPEND PROPERTY LABELS release)
set_tests_properties(scenario_throughput PROPERTIES COST 50) # a minute
foreach(name IN ITEMS flood drain)
    add_executable(volley_${name} tests/adversary/${name}.c)
    set_target_properties(volley_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_compile_definitions(volley_${name} PRIVATE _GNU_SOURCE)
endforeach()

volley_check(purity $<TARGET_FILE:volley_proto>)
volley_check(headers ${CMAKE_C_COMPILER})
volley_check(limits)
volley_check(includes)
volley_check(rules)
volley_check(tables)
volley_check(man)
volley_check(examples)
