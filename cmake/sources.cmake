# Targets made of whole folders.

# Static library `name` from all files that match the patterns, possibly none yet.
function(volley_library name)
    list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/)
    file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
    if(NOT sources)
        set(sources ${PROJECT_BINARY_DIR}/${name}_empty.c)
        file(CONFIGURE OUTPUT ${sources} CONTENT "typedef int ${name}_is_empty;\n")
    endif()
    add_library(${name} STATIC ${sources})
endfunction()

# Program `name` from all files that match the pattern; no files, no target.
function(volley_program name pattern)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${pattern})
    if(sources)
        add_executable(${name} ${sources})
    endif()
endfunction()
