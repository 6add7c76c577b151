# VLY_GIT: the commit built, or "unknown" outside a clone. A new commit configures again.
set(VLY_GIT unknown)
find_package(Git QUIET)

function(volley_git out)
    execute_process(COMMAND ${GIT_EXECUTABLE} ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
        OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
    if(status EQUAL 0)
        set(${out} "${text}" PARENT_SCOPE)
    endif()
endfunction()

if(Git_FOUND AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
    volley_git(VLY_GIT rev-parse --short=12 HEAD)
    volley_git(head_log rev-parse --git-path logs/HEAD)
    cmake_path(ABSOLUTE_PATH head_log BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    if(EXISTS "${head_log}")
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${head_log})
    endif()
endif()
