#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <torch/extension.h>

__global__ void double_each(const float *from, float *to, int64_t count) {
    int64_t at = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
    if (at < count) to[at] = 2 * from[at];
}

torch::Tensor twice(const torch::Tensor &numbers) {
    TORCH_CHECK(numbers.is_cuda() && numbers.scalar_type() == torch::kFloat32, "twice: a float32 tensor on a GPU is needed");
    auto from = numbers.contiguous();
    auto to = torch::empty_like(from);
    const int64_t count = from.numel();
    if (count > 0) {
        double_each<<<(count + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
            from.data_ptr<float>(), to.data_ptr<float>(), count);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
    }
    return to;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) { module.def("twice", &twice); }
