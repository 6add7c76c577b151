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
    if(VLY_LTO) # fat objects, so that only the programs pay for it, not each test (volley_program)
        target_compile_options(${name} PRIVATE -flto=auto -ffat-lto-objects)
    endif()
endfunction()

# Takes the files whose name without .c matches the pattern out of a library.
function(volley_without name pattern)
    get_target_property(sources ${name} SOURCES)
    list(FILTER sources EXCLUDE REGEX "/(${pattern})\\.c$")
    set_target_properties(${name} PROPERTIES SOURCES "${sources}")
endfunction()

# Takes main.c and cmd_*.c out of a library made of a program's folder.
function(volley_without_commands name)
    volley_without(${name} "main|cmd_[a-z0-9_]+")
endfunction()

# Program `name` from all files that match the patterns.
function(volley_program name)
    list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/)
    file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
    add_executable(${name} ${sources})
    if(VLY_LTO)
        set_target_properties(${name} PROPERTIES VLY_IS_PROGRAM ON)
        target_link_options(${name} PRIVATE -flto=auto -O3)
    endif()
endfunction()
