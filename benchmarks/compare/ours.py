"""Our side of the comparison: the ordinary interface, as the command line uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from benchmarks.compare.agreement import MASKS_COMPARED, pack_masks
from benchmarks.compare.engine import Engine
from benchmarks.compare.scenarios import Scenario
from benchmarks.compare.weights import spread
from PIL import Image

import maskrcnn
from maskrcnn.acceleration import for_training
from maskrcnn.benchmark.arithmetic import count_arithmetic
from maskrcnn.benchmark.machine import describe_machine, matrix_peak
from maskrcnn.benchmark.measure import crowded_threshold, observe, run_pass, staged_pass, synthetic_images
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.presets import preset
from maskrcnn.structures import Categories, PackedMasks, Targets
from maskrcnn.training.initial import read_initial, start_from
from maskrcnn.training.optimizer import build_optimizer, set_learning_rate
from maskrcnn.training.published import bundled_start
from maskrcnn.training.step import accumulate_gradients
from maskrcnn.weights import load_model, save_model
from maskrcnn.weights.checkpoint import save_weights
from maskrcnn.weights.foreign import import_foreign

LEARNING_RATE = 1e-6
"""So small that many steps on random weights stay alike."""

_FACTORS = {
    "rpn.head.objectness": 30.0,
    "rpn.head.deltas": 10.0,
    "box_head.class_logits": 60.0,
    "mask_head.mask_logits": 30.0,
}


class Ours(Engine):
    """This package."""

    # --- what both sides start from

    def make_inputs(self, scenario: Mapping[str, Any], path: str) -> None:
        """Images, and what is to be found in them."""
        plan = Scenario.from_json(scenario)
        generator = torch.Generator().manual_seed(2)
        targets = [_random_objects(plan, generator) for _ in range(plan.images)]
        images = synthetic_images(plan.images, plan.image_size)
        files = [f"{path}-{number}.jpg" for number in range(len(images))]
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, quality=90)
        torch.save({"images": images, "files": files, "targets": targets}, path)

    def make_weights(self, scenario: Mapping[str, Any], path: str) -> None:
        """A random model of ours: the scenario's preset, or where there is no torchvision to take one from."""
        plan = Scenario.from_json(scenario)
        base = preset(plan.preset or ("c4" if plan.features == "c4" else "torchvision"))
        if not plan.preset:
            base = replace(base, backbone=replace(base.backbone, name=plan.backbone))
        config = _planned(base, plan)
        numbers = range(1, plan.classes + 1)
        categories = Categories(tuple(numbers), tuple(map(str, numbers)))
        torch.manual_seed(0)
        network = build_model(config, plan.classes)
        if start := bundled_start(config):  # else its frozen norms would let nothing through
            start_from(network, read_initial(start), config, categories)
        spread(network, _FACTORS)
        save_model(Path(path), network, config, categories, {})

    def adopt(self, scenario: Mapping[str, Any], source: str, path: str) -> None:
        """The weights of torchvision's model as a model of ours, also where a preset's takes its place later."""
        imported = import_foreign(Path(source))
        config = imported.config
        config = replace(config, resnet=replace(config.resnet, norm_eps=1e-5))  # 0 is for published weights alone
        config = _planned(config, replace(Scenario.from_json(scenario), preset=""))
        save_weights(Path(path), imported.state_dict, config, imported.categories, {})

    def calibrate(self) -> float:
        """The score threshold for both sides, which lets enough candidates pass."""
        return crowded_threshold(self._model, self._images, self.scenario.detections)

    # --- what it computes

    def arithmetic(self) -> dict[str, Any]:
        """What the network's definition asks for by stage, what goes through it, and what the device can do."""
        limits = self.scenario.batch_size, self.threshold, self.scenario.detections
        workload = observe(self._model, self._images, *limits)
        return {
            "flop": count_arithmetic(self._model.config, self._model.categories, workload),
            "proposals": workload.num_proposals,
            "detections": workload.num_detections,
            "inputs": workload.batches,
        }

    def machine(self) -> dict[str, Any]:
        """What the figures depend on."""
        return {**describe_machine(self.device), "matrix_peak": matrix_peak(self.device)}

    def answer(self, path: str) -> None:
        if self.scenario.kind == "train":
            torch.save({"losses": self._train()}, path)
            return
        stream = self._model.stream(self._images, self.scenario.batch_size, self.threshold, self.scenario.detections)
        found = [
            {
                "boxes": torch.from_numpy(prediction.boxes),
                "scores": torch.from_numpy(prediction.scores),
                "labels": torch.from_numpy(prediction.labels),
                "masks": pack_masks(torch.from_numpy(prediction[:MASKS_COMPARED].masks())),
            }
            for prediction in stream
        ]
        torch.save({"images": found}, path)

    def stages(self) -> dict[str, float]:
        limits = self.scenario.batch_size, self.threshold, self.scenario.detections
        return staged_pass(self._model, self._images, *limits)

    def _load(self, weights: str, inputs: Mapping[str, Any]) -> None:
        self._images = inputs["images"]
        if self.scenario.kind == "predict":
            self._model = maskrcnn.load(weights, str(self.device))
            return
        network, self._config, _, _ = load_model(Path(weights))
        self._network = for_training(network).to(self.device).train()  # as the training loop does
        self._optimizer = build_optimizer(self._network, self._config.optimizer)
        set_learning_rate(self._optimizer, LEARNING_RATE)
        size = self.scenario.image_size
        self._generators = [torch.Generator(self.device).manual_seed(number) for number in range(len(self._images))]
        self._samples = [
            Sample(image.to(self.device), _targets(objects), number, f"image {number}", size)
            for number, (image, objects) in enumerate(zip(self._images, inputs["targets"], strict=True))
        ]

    def _step(self) -> None:
        if self.scenario.kind == "train":
            self._train()
        else:
            limits = self.scenario.batch_size, self.threshold, self.scenario.detections
            if self._files:
                for prediction in self._model.stream(self._files, *limits):
                    prediction.masks()
            else:
                run_pass(self._model, self._images, *limits)

    def _train(self) -> dict[str, float]:
        report = accumulate_gradients(self._network, [self._samples], self._config, self._generators)
        if report.complaint:
            raise RuntimeError(report.complaint)
        self._optimizer.step()
        return report.losses

    def _versions(self) -> dict[str, str]:
        return {"maskrcnn": metadata.version("maskrcnn")}


def _planned(config: Config, plan: Scenario) -> Config:
    """The settings with the scenario's sizes and, unless they are a preset's own, limits."""
    sized = replace(config, input=replace(config.input, min_size=plan.short_side, max_size=plan.long_side))
    if plan.preset:
        return sized
    return replace(
        sized,
        rpn=replace(
            config.rpn,
            pre_nms_top_k_test=max(config.rpn.pre_nms_top_k_test, plan.proposals),
            post_nms_top_k_test=plan.proposals,
        ),
    )


def _random_objects(plan: Scenario, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Boxes, labels, and bitmaps of ellipses that fill the boxes."""
    height, width = plan.image_size
    sides = torch.tensor([width, height])
    low = torch.rand(plan.objects, 2, generator=generator) * 0.6 * sides
    high = low + (0.1 + 0.3 * torch.rand(plan.objects, 2, generator=generator)) * sides
    boxes = torch.cat([low, high], dim=1)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    centre, radius = ((high + low) / 2)[:, :, None, None], ((high - low) / 2)[:, :, None, None]
    inside = ((x - centre[:, 0]) / radius[:, 0]) ** 2 + ((y - centre[:, 1]) / radius[:, 1]) ** 2 <= 1
    labels = torch.randint(plan.classes, (plan.objects,), generator=generator)
    return {"boxes": boxes, "labels": labels, "masks": inside.to(torch.uint8)}


def _targets(objects: Mapping[str, torch.Tensor]) -> Targets:
    return Targets(objects["boxes"], objects["labels"], PackedMasks.from_bitmaps(objects["masks"]))
