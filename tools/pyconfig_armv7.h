/* Corrects this machine's pyconfig.h for a build for 32-bit ARM: the sizes that differ. Read before
 * Python.h (-include), right after the pyconfig.h itself, whose include guard keeps it from being
 * read again. */
#undef SIZEOF_LONG
#define SIZEOF_LONG 4
#undef SIZEOF_VOID_P
#define SIZEOF_VOID_P 4
#undef SIZEOF_SIZE_T
#define SIZEOF_SIZE_T 4
#undef SIZEOF_UINTPTR_T
#define SIZEOF_UINTPTR_T 4
#undef SIZEOF_PTHREAD_T
#define SIZEOF_PTHREAD_T 4
#undef SIZEOF_TIME_T
#define SIZEOF_TIME_T 4
#undef SIZEOF_LONG_DOUBLE
#define SIZEOF_LONG_DOUBLE 8
#undef ALIGNOF_LONG
#define ALIGNOF_LONG 4
#undef ALIGNOF_SIZE_T
#define ALIGNOF_SIZE_T 4
#undef HAVE_GCC_UINT128_T
