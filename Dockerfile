# memhrm on a CPU.
#   docker build -t memhrm .
#   mkdir -p runs && docker run --rm --user "$(id -u)" -v "$PWD/runs:/home/user/runs" memhrm train dir=runs/first
#   docker run --rm -p 127.0.0.1:7860:7860 memhrm play host=0.0.0.0
# PyTorch comes from pip's own index, with CUDA; --build-arg INDEX=URL takes it from another, such as that of its CPU builds, which
# are two gigabytes smaller.
FROM python:3.11-slim

ARG INDEX=
RUN useradd --create-home user
COPY . /opt/memhrm
RUN pip install --no-cache-dir --constraint /opt/memhrm/constraints.txt ${INDEX:+--index-url "$INDEX"} torch \
 && pip install --no-cache-dir --constraint /opt/memhrm/constraints.txt '/opt/memhrm[probe,text,play,hub,serve]'

USER user
WORKDIR /home/user
ENTRYPOINT ["memhrm"]
CMD ["--help"]
