# Programs that need nothing of the machine that they run on (preset `static`: coffer-verify).
#
# Debian's CMake packages name shared libraries. Where the archive lies beside one, the imported target is made to mean the
# archive instead; what it depends on it names already. A library without an archive (docs/dependencies.md) stays shared,
# and a static program that needs it does not link.

function(coffer_archive_of OUT LIBRARY)
  string(REGEX REPLACE "\\.so(\\.[0-9.]+)?$" ".a" ARCHIVE "${LIBRARY}")
  if(NOT EXISTS "${ARCHIVE}")
    # The versioned name of a link, as in libabsl_base.so.20220623.0.0.
    set(ARCHIVE "${LIBRARY}")
  endif()
  set(${OUT} "${ARCHIVE}" PARENT_SCOPE)
endfunction()

function(coffer_prefer_archives)
  get_property(TARGETS DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(TARGET ${TARGETS})
    foreach(NAME IMPORTED_LOCATION IMPORTED_LOCATION_NONE IMPORTED_LOCATION_RELEASE IMPORTED_LOCATION_RELWITHDEBINFO)
      get_target_property(LIBRARY ${TARGET} ${NAME})
      if(LIBRARY)
        coffer_archive_of(ARCHIVE "${LIBRARY}")
        set_target_properties(${TARGET} PROPERTIES ${NAME} "${ARCHIVE}")
      endif()
    endforeach()
    # Targets of pkg-config name their libraries as paths.
    get_target_property(LIBRARIES ${TARGET} INTERFACE_LINK_LIBRARIES)
    if(LIBRARIES)
      set(ARCHIVES)
      foreach(LIBRARY ${LIBRARIES})
        coffer_archive_of(ARCHIVE "${LIBRARY}")
        list(APPEND ARCHIVES "${ARCHIVE}")
      endforeach()
      set_target_properties(${TARGET} PROPERTIES INTERFACE_LINK_LIBRARIES "${ARCHIVES}")
    endif()
  endforeach()
endfunction()

# coffer_static_program(NAME): linked statically in the preset `static`, as usual in all others.
function(coffer_static_program NAME)
  if(COFFER_STATIC)
    target_link_options(${NAME} PRIVATE -static)
  endif()
endfunction()
