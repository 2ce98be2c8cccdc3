import json, torch, argparse, pickle, sys, collections
from pathlib import Path

HERE = Path(__file__).resolve().parent
names = json.loads((HERE / "names.json").read_text())
torch.manual_seed(0)


def state():
    return collections.OrderedDict(
        (
            k,
            torch.zeros(s, dtype=torch.int64)
            if t == "int64"
            else torch.rand(s) * 0.05 + (0.5 if "running_var" in k or k.endswith("bn1.weight") else 0),
        )
        for k, (s, t) in names.items()
    )


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(2, 2)


def files(out):
    sd = state()
    opt = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.02, "params": [0]}]}
    s = torch.save
    s(sd, out / "plain.pth")
    s(
        {
            "model": sd,
            "optimizer": opt,
            "lr_scheduler": {"last_epoch": 3},
            "args": argparse.Namespace(lr=0.02),
            "epoch": 3,
            "scaler": {},
        },
        out / "tv_reference.pth",
    )
    s({"epoch": 3, "model_state_dict": sd, "optimizer_state_dict": opt, "loss": 0.4}, out / "tutorial.pth")
    s({"epoch": 3, "model_state": sd}, out / "model_state.pth")
    s({"net": sd}, out / "net.pth")
    s({"weights": sd}, out / "weights.pth")
    s({"params": sd}, out / "params.pth")
    s(
        {
            "state_dict": {"model." + k: v for k, v in sd.items()},
            "pytorch-lightning_version": "2.4",
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [opt],
            "epoch": 1,
        },
        out / "lightning.ckpt",
    )
    s({"state_dict": {"net." + k: v for k, v in sd.items()}}, out / "lightning_net.ckpt")
    s({"module." + k: v for k, v in sd.items()}, out / "dp.pth")
    s({"_orig_mod." + k: v for k, v in sd.items()}, out / "compiled.pth")
    s({"module._orig_mod." + k: v for k, v in sd.items()}, out / "dp_compiled.pth")
    s({"model": {"module." + k: v for k, v in sd.items()}}, out / "model_module.pth")
    s(
        {"model": sd, "model_ema": {"n_averaged": torch.tensor(5), **{"module." + k: v + 1 for k, v in sd.items()}}},
        out / "with_ema.pth",
    )
    s({"n_averaged": torch.tensor(5), **{"module." + k: v for k, v in sd.items()}}, out / "averaged.pth")
    s({"ema": sd}, out / "ema_only.pth")
    s({"model_ema": sd}, out / "model_ema_only.pth")
    s({"state_dict": {**sd, **{"ema_" + k.replace(".", "_"): v for k, v in sd.items()}}}, out / "mmengine_ema.pth")
    s({"model": {"state_dict": sd}}, out / "nested.pth")
    s([sd], out / "list.pth")
    s(sd, out / "legacy.pth", _use_new_zipfile_serialization=False)
    s({k: v.half() if v.is_floating_point() else v for k, v in sd.items()}, out / "half.pth")
    s({k: v.bfloat16() if v.is_floating_point() else v for k, v in sd.items()}, out / "bf16.pth")
    s(Net(), out / "whole_model.pth")
    s({"model": Net()}, out / "whole_in_dict.pth")
    pickle.dump({k: v.numpy() for k, v in sd.items()}, open(out / "numpy.pkl", "wb"))
    pickle.dump(sd, open(out / "tensors.pkl", "wb"))
    from safetensors.torch import save_file

    save_file(dict(sd), str(out / "plain.safetensors"))
    (out / "html.pth").write_text("<!DOCTYPE html><html><body>Quota exceeded</body></html>")
    (out / "html.safetensors").write_text("<!DOCTYPE html>")
    (out / "zero.pth").write_bytes(b"")
    (out / "lfs.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 170\n")
    (out / "cut.pth").write_bytes((out / "plain.pth").read_bytes()[:50000])
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(out / "script.pt"))
    s(
        {
            "meta": {},
            "state_dict": {
                ("backbone.layer1.0.conv1.weight"): torch.rand(8, 8, 1, 1),
                "neck.lateral_convs.0.conv.weight": torch.rand(8, 8, 1, 1),
                "rpn_head.rpn_conv.weight": torch.rand(8, 8, 3, 3),
                "roi_head.bbox_head.fc_cls.weight": torch.rand(3, 8),
            },
        },
        out / "mmdet.pth",
    )
    bad = dict(sd)
    bad["roi_heads.box_predictor.cls_score.weight"] = bad["roi_heads.box_predictor.cls_score.weight"].clone()
    bad["roi_heads.box_predictor.cls_score.weight"][0, 0] = float("nan")
    s(bad, out / "nan.pth")
    less = dict(sd)
    [less.pop(k) for k in list(less) if "mask_predictor" in k]
    s(less, out / "no_mask_predictor.pth")
    s({k: v for k, v in sd.items() if k.startswith("backbone.body")}, out / "body_only.pth")
