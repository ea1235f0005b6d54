#include "base/rows_from.h"

#include "base/number_file.h"

int rows_from_write(const char *folder, uint64_t seconds)
{
    return number_file_write(folder, ROWS_FROM_NAME, seconds);
}

int rows_from_read(const char *folder, uint64_t *seconds)
{
    return number_file_read(folder, ROWS_FROM_NAME, seconds);
}
