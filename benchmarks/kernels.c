/* The kernels that benchmarks compare, as they are written in C for
 *
 *     gcc -O3 -march=native -ffast-math -shared -fPIC kernels.c -lmvec -lm
 *
 * whose vector library has logf and expf: the same generator, loops over blocks of about 1,000
 * logits that stay in the first cache, logarithms and exponentials in flat loops, reductions row by
 * row. Logits are (n, k) and float32. One sample of each; noise from 23 bits.
 */
#include <math.h>
#include <stdint.h>

#define BLOCK 1024
#define LARGEST 4096 /* categories */

enum { NOISE, FRESH, UNIFORM };

/* Words of BLOCK / 4 counters of Philox4x32-10. */
static void fill_words(uint32_t *restrict w, uint64_t first, uint32_t purpose, const uint32_t *key)
{
    for (int g = 0; g < BLOCK / 4; g++) {
        uint64_t address = first + g;
        uint32_t c0 = address, c1 = address >> 32, c2 = 0, c3 = purpose, k0 = key[0], k1 = key[1];
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, c1 = p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1, c3 = p0;
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        w[g] = c0, w[BLOCK / 4 + g] = c1, w[BLOCK / 2 + g] = c2, w[3 * BLOCK / 4 + g] = c3;
    }
}

/* Uniform in (0, 1). */
static void fill_uniform(float *restrict u, long m, uint64_t first, int purpose, const uint32_t *key)
{
    _Alignas(64) uint32_t w[BLOCK];
    for (long b = 0; b < m; b += BLOCK) {
        long size = m - b < BLOCK ? m - b : BLOCK;
        fill_words(w, (first + b) / 4, purpose, key);
        for (long i = 0; i < size; i++)
            u[b + i] = ((float)(int32_t)(w[i] >> 9) + 0.5f) * 0x1p-23f;
    }
}

static void fill_exponential(float *restrict e, long m, uint64_t first, int purpose,
                             const uint32_t *key)
{
    fill_uniform(e, m, first, purpose, key);
    for (long i = 0; i < m; i++)
        e[i] = -logf(e[i]);
}

static long rows_of_block(long k)
{
    return k < BLOCK ? BLOCK / k : 1;
}

#define BLOCKS(n, k)                                                                             \
    for (long row = 0, rows = rows_of_block(k), first = 0, m;                                    \
         row < (n) && (rows = rows < (n) - row ? rows : (n) - row, first = row * (k),            \
                       m = rows * (k), 1);                                                       \
         row += rows)

/* y = x less the maximum of each row. */
static void subtract_maxima(const float *restrict x, float *restrict y, long rows, long k)
{
    for (long r = 0; r < rows; r++) {
        const float *a = x + r * k;
        float *b = y + r * k, high = a[0];
        for (long j = 1; j < k; j++)
            high = a[j] > high ? a[j] : high;
        for (long j = 0; j < k; j++)
            b[j] = a[j] - high;
    }
}

/* y = softmax of rows of z, which is overwritten; sums of exponentials too if there is room. */
static void softmax_rows(float *restrict z, float *restrict y, float *restrict sums, long rows,
                         long k)
{
    subtract_maxima(z, y, rows, k);
    for (long i = 0; i < rows * k; i++)
        z[i] = expf(y[i]);
    for (long r = 0; r < rows; r++) {
        const float *a = z + r * k;
        float total = 0;
        for (long j = 0; j < k; j++)
            total += a[j];
        if (sums)
            sums[r] = total;
        float inverse = 1 / total;
        for (long j = 0; j < k; j++)
            y[r * k + j] = a[j] * inverse;
    }
}

/* g = scale y (r - <y, r>), for rows. */
static void softmax_product(const float *restrict y, const float *restrict r, float *restrict g,
                            float scale, long rows, long k)
{
    for (long i = 0; i < rows; i++) {
        const float *a = y + i * k, *b = r + i * k;
        float mean = 0;
        for (long j = 0; j < k; j++)
            mean += a[j] * b[j];
        for (long j = 0; j < k; j++)
            g[i * k + j] = scale * a[j] * (b[j] - mean);
    }
}

void gumbel(float *restrict out, long size, const uint32_t *key)
{
    for (long b = 0; b < size; b += BLOCK) {
        long m = size - b < BLOCK ? size - b : BLOCK;
        fill_exponential(out + b, m, b, NOISE, key);
        for (long i = 0; i < m; i++)
            out[b + i] = -logf(out[b + i]);
    }
}

static void relaxed_block(const float *restrict x, float *restrict y, float *restrict z, long first,
                          long rows, long k, float scale, const uint32_t *key)
{
    fill_exponential(z, rows * k, first, NOISE, key);
    for (long i = 0; i < rows * k; i++)
        z[i] = (x[i] - logf(z[i])) * scale;
    softmax_rows(z, y, 0, rows, k);
}

void gumbel_softmax(const float *x, float *out, long n, long k, float scale, const uint32_t *key)
{
    _Alignas(64) float z[LARGEST];
    BLOCKS(n, k)
        relaxed_block(x + first, out + first, z, first, rows, k, scale, key);
}

void gumbel_softmax_vjp(const float *x, const float *r, float *grad, long n, long k, float scale,
                        const uint32_t *key)
{
    _Alignas(64) float z[LARGEST], y[LARGEST];
    BLOCKS(n, k) {
        relaxed_block(x + first, y, z, first, rows, k, scale, key);
        softmax_product(y, r + first, grad + first, scale, rows, k);
    }
}

void sample(const float *x, int32_t *z, long n, long k, const uint32_t *key)
{
    _Alignas(64) float y[LARGEST], e[LARGEST], u[BLOCK];
    BLOCKS(n, k) {
        fill_uniform(u, rows, row, UNIFORM, key);
        subtract_maxima(x + first, y, rows, k);
        for (long i = 0; i < m; i++)
            e[i] = expf(y[i]);
        for (long r = 0; r < rows; r++) {
            float total = 0, running = 0;
            int32_t found = 0;
            for (long j = 0; j < k; j++)
                total += e[r * k + j];
            float target = u[r] * total;
            for (long j = 0; j < k - 1; j++) {
                running += e[r * k + j];
                found += running <= target;
            }
            z[row + r] = found;
        }
    }
}

/* z, relaxed, conditional and score; where cotangents are given, gradients through both too. */
void relax(const float *x, long n, long k, float scale, int32_t *z, float *relaxed,
           float *conditional, float *score, const float *r, const float *q, float *g, float *h,
           const uint32_t *key)
{
    static _Thread_local _Alignas(64) float p[LARGEST], log_p[LARGEST], w[LARGEST], fresh[LARGEST],
        late[LARGEST], a[LARGEST], sums[BLOCK];
    BLOCKS(n, k) {
        for (long i = 0; i < m; i++)
            w[i] = x[first + i];
        softmax_rows(w, p, sums, rows, k);
        subtract_maxima(x + first, log_p, rows, k);
        for (long i = 0; i < rows; i++)
            sums[i] = logf(sums[i]);
        for (long i = 0; i < rows; i++)
            for (long j = 0; j < k; j++)
                log_p[i * k + j] -= sums[i];
        fill_exponential(w, m, first, NOISE, key);
        fill_exponential(fresh, m, first, FRESH, key);
        for (long i = 0; i < m; i++)
            w[i] = log_p[i] - logf(w[i]);
        for (long i = 0; i < rows; i++) {
            float high = w[i * k];
            int32_t winner = 0;
            for (long j = 1; j < k; j++)
                if (w[i * k + j] > high)
                    high = w[i * k + j], winner = j;
            z[row + i] = winner;
            float time = expf(-high);
            for (long j = 0; j < k; j++) {
                late[i * k + j] = time * p[i * k + j] + fresh[i * k + j];
                score[first + i * k + j] = -p[i * k + j];
            }
            score[first + i * k + winner] += 1;
            late[i * k + winner] = p[i * k + winner] * time; /* so that z~ is z's own */
        }
        for (long i = 0; i < m; i++) {
            a[i] = (log_p[i] - logf(late[i])) * scale;
            w[i] *= scale;
        }
        softmax_rows(w, relaxed + first, 0, rows, k);
        softmax_rows(a, conditional + first, 0, rows, k);
        if (!r)
            continue;
        softmax_product(relaxed + first, r + first, g + first, scale, rows, k);
        softmax_product(conditional + first, q + first, a, scale, rows, k);
        for (long i = 0; i < rows; i++) {
            float total = 0, *b = a + i * k;
            for (long j = 0; j < k; j++)
                b[j] *= fresh[i * k + j] / late[i * k + j];
            b[z[row + i]] = 0;
            for (long j = 0; j < k; j++)
                total += b[j];
            for (long j = 0; j < k; j++)
                h[first + i * k + j] = b[j] - p[i * k + j] * total;
        }
    }
}

void log_softmax(const float *x, float *out, long n, long k)
{
    _Alignas(64) float e[LARGEST], y[LARGEST];
    BLOCKS(n, k) {
        subtract_maxima(x + first, y, rows, k);
        for (long i = 0; i < m; i++)
            e[i] = expf(y[i]);
        for (long r = 0; r < rows; r++) {
            float total = 0;
            for (long j = 0; j < k; j++)
                total += e[r * k + j];
            total = logf(total);
            for (long j = 0; j < k; j++)
                out[first + r * k + j] = y[r * k + j] - total;
        }
    }
}

void entropy(const float *x, float *out, long n, long k)
{
    _Alignas(64) float e[LARGEST], y[LARGEST];
    BLOCKS(n, k) {
        subtract_maxima(x + first, y, rows, k);
        for (long i = 0; i < m; i++)
            e[i] = expf(y[i]);
        for (long r = 0; r < rows; r++) {
            float total = 0, sum = 0;
            for (long j = 0; j < k; j++)
                total += e[r * k + j], sum += e[r * k + j] * y[r * k + j];
            out[row + r] = logf(total) - sum / total;
        }
    }
}

void score(const float *x, const int32_t *z, float *out, long n, long k)
{
    _Alignas(64) float w[LARGEST], p[LARGEST];
    BLOCKS(n, k) {
        for (long i = 0; i < m; i++)
            w[i] = x[first + i];
        softmax_rows(w, p, 0, rows, k);
        for (long i = 0; i < m; i++)
            out[first + i] = -p[i];
        for (long r = 0; r < rows; r++)
            out[first + r * k + z[row + r]] += 1;
    }
}

void bernoulli_sample(const float *x, int32_t *out, long size, const uint32_t *key)
{
    _Alignas(64) float u[BLOCK];
    for (long b = 0; b < size; b += BLOCK) {
        long m = size - b < BLOCK ? size - b : BLOCK;
        fill_uniform(u, m, b, NOISE, key);
        for (long i = 0; i < m; i++)
            out[b + i] = u[i] * (1 + expf(-x[b + i])) < 1;
    }
}

void bernoulli_relaxed(const float *x, float *out, long size, float scale, const uint32_t *key)
{
    _Alignas(64) float u[BLOCK];
    for (long b = 0; b < size; b += BLOCK) {
        long m = size - b < BLOCK ? size - b : BLOCK;
        fill_uniform(u, m, b, NOISE, key);
        for (long i = 0; i < m; i++)
            out[b + i] = 1 / (1 + expf(-(x[b + i] + logf(u[i] / (1 - u[i]))) * scale));
    }
}
